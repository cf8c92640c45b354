"""SavedModels serve what the model predicts."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fgvc import data, export
from keras_fgvc.models import (
    DAF,
    FCAN,
    Baseline,
    Coarse2Fine,
    PainlessAttention,
)
from keras_fgvc.models.declaration import from_config
from tests import tiny
from tests.data.image_files import encode
from tests.export.bad_files import CASES
from tests.export.conftest import NAMES, served_alone


def small_baseline():
    return Baseline(tiny.backbone(), 3, tap=8)


def test_image_signature_has_all_outputs(exported):
    model, path = exported
    loaded = tf.saved_model.load(str(path))
    images, _ = tiny.images_and_labels(size=37)
    for count in (1, 5):
        batch = images[:count].astype("float32")
        served = loaded.signatures["serving_default"](image=batch)
        expected = model.predict(batch, verbose=0)
        for name, value in expected.items():
            np.testing.assert_allclose(served[name], value, atol=1e-5)
        top = served["probabilities"].numpy().argmax(axis=1)
        first = served["top_classes"][:, 0].numpy()
        assert [name.decode() for name in first] == [NAMES[i] for i in top]
        assert np.all(np.diff(served["top_probabilities"]) <= 0)


def test_bytes_of_mixed_sizes_are_read_as_in_training(exported):
    model, path = exported
    loaded = tf.saved_model.load(str(path))
    files = []
    for size, kind in ((37, "PNG"), (64, "JPEG")):
        images, _ = tiny.images_and_labels(1, size=size)
        files.append(encode(images[0], kind))
    served = loaded.signatures["serving_bytes"](image_bytes=tf.constant(files))
    pixels = np.stack([data.decode_and_resize(f, (40, 40)) for f in files])
    expected = model.predict(pixels, verbose=0)
    for name in ("probabilities", "boxes"):
        np.testing.assert_allclose(served[name], expected[name], atol=1e-5)


@pytest.mark.slow
def test_process_with_tensorflow_alone(exported, tmp_path):
    model, path = exported
    images, _ = tiny.images_and_labels(size=40)
    found = served_alone(path, images, tmp_path)
    expected = model.predict(images, verbose=0)
    for name in ("probabilities", "boxes"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_class_names_lie_beside(exported):
    _, path = exported
    text = (path / "assets.extra" / "class_names.txt").read_text()
    assert text == "red\ngreen\nblue\n"


def test_what_the_outputs_mean_lies_beside(exported):
    model, path = exported
    text = (path / "assets.extra" / "outputs.json").read_text()
    read = from_config(json.loads(text))
    assert read == model.output_meanings
    assert list(read) == list(model.output_meanings)


def test_existing_path_is_left_alone(exported):
    model, path = exported
    with pytest.raises(ValueError, match=r"exists already\. Give the next"):
        export.export_saved_model(model, path, class_names=NAMES, load_size=40)


def test_wrong_number_of_names(exported, tmp_path):
    model, _ = exported
    with pytest.raises(ValueError, match=r"3 classes\. Received: 2 names"):
        export.export_saved_model(
            model, tmp_path / "1", class_names=NAMES[:2], load_size=40
        )


@pytest.mark.slow
def test_parity_is_really_compared(exported, tmp_path, monkeypatch):
    model, _ = exported
    monkeypatch.setattr(export.parity, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="differs from the model"):
        export.export_saved_model(
            model, tmp_path / "1", class_names=NAMES, load_size=40
        )
    assert not (tmp_path / "1").exists()
    # What was left there for a look is not in the way.
    monkeypatch.undo()
    export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, load_size=40
    )
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_each_bad_row_has_its_error_and_harms_no_other(exported):
    _, path = exported
    serve = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    names = ["JPEG", "zero bytes", "truncated PNG", "GIF", "a text", "PNG"]
    files = [CASES[name][0] for name in names]
    served = serve(image_bytes=tf.constant(files))
    errors = [error.decode() for error in served["error"].numpy()]
    fine = [i for i, name in enumerate(names) if not CASES[name][1]]
    for name, error in zip(names, errors, strict=True):
        assert CASES[name][1] in error
        assert bool(CASES[name][1]) == bool(error)
    alone = serve(image_bytes=tf.constant([files[i] for i in fine]))
    for name, value in served.items():
        value = value.numpy()
        if value.dtype == object:
            np.testing.assert_array_equal(value[fine], alone[name].numpy())
        else:
            np.testing.assert_allclose(value[fine], alone[name], atol=1e-6)
            assert not np.delete(value, fine, axis=0).any()
    assert served["top_classes"][1, 0].numpy() == b""
    np.testing.assert_allclose(
        served["probabilities"].numpy().sum(1), [1, 0, 0, 1, 0, 1], atol=1e-5
    )


@pytest.mark.slow
def test_in_a_session_as_tf_serving_runs_it(exported):
    """The classic C++ loader runs graphs in sessions, not functions."""
    model, path = exported
    image = tiny.images_and_labels(1, size=40)[0]
    files = [b"", encode(image[0], "PNG")]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
        signature = loaded.signature_def["serving_bytes"]
        feed = {signature.inputs["image_bytes"].name: files}
        outputs = ("error", "probabilities")
        fetch = [signature.outputs[name].name for name in outputs]
        errors, found = session.run(fetch, feed)
    assert errors.tolist() == [b"is empty (0 bytes)", b""]
    expected = model.predict(image, verbose=0)["probabilities"]
    np.testing.assert_allclose(found[1:], expected, atol=1e-5)


def test_all_outputs_have_the_batch_first(exported):
    _, path = exported
    signatures = tf.saved_model.load(str(path)).signatures
    for signature in signatures.values():
        for spec in signature.structured_outputs.values():
            assert spec.shape[0] is None
            assert spec.dtype in (tf.float32, tf.string)


def test_output_without_a_batch_is_refused(tmp_path):
    class Odd(keras.Model):
        num_classes = 3

        def call(self, images):
            colors = keras.ops.mean(images, axis=(1, 2))
            return {"probabilities": colors, "mean": keras.ops.mean(images)}

    model = Odd()
    model(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match=r"batch as its first .*'mean'"):
        export.export_saved_model(
            model, tmp_path / "1", class_names=NAMES, load_size=8
        )
    assert not (tmp_path / "1").exists()


def test_uint8_pixels(tmp_path):
    model = small_baseline()
    path = export.export_saved_model(
        model,
        tmp_path / "1",
        class_names=NAMES,
        load_size=16,
        pixel_type="uint8",
    )
    images, _ = tiny.images_and_labels(3, size=16)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = served(image=tf.constant(images))["probabilities"]
    expected = model.predict(images, verbose=0)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_half_precision_is_served_as_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_baseline()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model(np.zeros((1, 16, 16, 3)))["mean_activation"].dtype != "float32"
    path = export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, load_size=16
    )
    served = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    types = {spec.dtype for spec in served.structured_outputs.values()}
    assert types == {tf.float32, tf.string}


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("pixel_type", "int8", r"`pixel_type` must be one of 'float32'"),
        ("max_pixels", 0, r"`max_pixels` must be at least 1"),
        ("load_size", (8, 8), r"`load_size` must be an integer"),
    ],
)
def test_wrong_arguments(exported, tmp_path, argument, value, message):
    options = {"class_names": NAMES, "load_size": 8, argument: value}
    with pytest.raises((TypeError, ValueError), match=message):
        export.export_saved_model(exported[0], tmp_path / "1", **options)


def test_baseline(tmp_path):
    model = small_baseline()
    path = export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, load_size=40, num_top=2
    )
    images = np.zeros((1, 40, 40, 3), "float32")
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    assert served(image=images)["top_classes"].shape == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: PainlessAttention(
            tiny.backbone(), 3, taps=(4, 8), tap=8, num_heads=3
        ),
        lambda: FCAN(
            tiny.backbone(),
            3,
            image_size=tiny.SIZE,
            crop_size=24,
            part_sizes=(1, 2),
            taps=(8, 8),
        ),
        lambda: DAF(
            tiny.backbone(), 3, image_size=tiny.SIZE, taps=(4, 8), groups=11
        ),
        lambda: DAF(
            tiny.backbone(),
            3,
            image_size=tiny.SIZE,
            taps=(4, 8),
            groups=11,
            student_parts=True,
        ).student_model(),
        lambda: Coarse2Fine(tiny.backbone(), 3, image_size=tiny.SIZE, tap=8),
        lambda: Coarse2Fine(
            tiny.backbone(),
            3,
            image_size=tiny.SIZE,
            tap=8,
            augment="crop_drop",
            predict_with="fine",
        ),
        lambda: Coarse2Fine(
            tiny.backbone(), 3, image_size=tiny.SIZE, tap=8
        ).coarse_model(),
    ],
)
def test_other_methods_serve_what_they_predict(make, tmp_path):
    model = make()
    path = export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, load_size=tiny.SIZE
    )
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    images, _ = tiny.images_and_labels(4, size=41)
    expected = model.predict(images, verbose=0)
    found = served(image=tf.constant(images.astype("float32")))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4)
