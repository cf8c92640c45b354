import io
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_fgvc import data, export
from keras_fgvc.models import (
    DAF,
    FCAN,
    Baseline,
    Coarse2Fine,
    ELoPE,
    PainlessAttention,
)
from tests import tiny

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An ELoPE with its localiser on, and the folder it was written to."""
    keras.utils.set_random_seed(0)
    model = ELoPE(
        tiny.backbone(), 3, image_size=tiny.SIZE, tap=8, threshold=0.6
    )
    model.localizer.enable()
    path = tmp_path_factory.mktemp("served") / "birds" / "1"
    found = export.export_saved_model(
        model, path, class_names=NAMES, image_size=40
    )
    assert found == path
    return model, path


def encode(image, kind):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


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


def test_process_with_tensorflow_alone(exported, tmp_path):
    model, path = exported
    images, _ = tiny.images_and_labels(size=40)
    np.save(tmp_path / "images.npy", images.astype("float32"))
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1])\n"
        "serve = loaded.signatures['serving_default']\n"
        "out = serve(image=tf.constant(np.load('images.npy')))\n"
        "assert 'keras_fgvc' not in sys.modules\n"
        "np.savez('out.npz', **{k: out[k] for k in "
        "('probabilities', 'boxes')})\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=tmp_path, check=True
    )
    found = np.load(tmp_path / "out.npz")
    expected = model.predict(images, verbose=0)
    for name in ("probabilities", "boxes"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_class_names_lie_beside(exported):
    _, path = exported
    text = (path / "assets.extra" / "class_names.txt").read_text()
    assert text == "red\ngreen\nblue\n"


def test_existing_path_is_left_alone(exported):
    model, path = exported
    with pytest.raises(ValueError, match=r"exists already\. Give the next"):
        export.export_saved_model(model, path, class_names=NAMES, image_size=40)


def test_wrong_number_of_names(exported, tmp_path):
    model, _ = exported
    with pytest.raises(ValueError, match=r"3 classes\. Received: 2 names"):
        export.export_saved_model(
            model, tmp_path / "1", class_names=NAMES[:2], image_size=40
        )


def test_parity_is_really_compared(exported, tmp_path, monkeypatch):
    model, _ = exported
    monkeypatch.setattr(export, "PARITY_TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="differs from the model"):
        export.export_saved_model(
            model, tmp_path / "1", class_names=NAMES, image_size=40
        )
    assert not (tmp_path / "1").exists()


def test_baseline(tmp_path):
    model = Baseline(tiny.backbone(), 3, tap=8)
    path = export.export_saved_model(
        model, tmp_path / "1", class_names=NAMES, image_size=40, num_top=2
    )
    images = np.zeros((1, 40, 40, 3), "float32")
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    assert served(image=images)["top_classes"].shape == (1, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PainlessAttention(
            tiny.backbone(), 3, attend_at=(4, 8), tap=8, num_heads=3
        ),
        lambda: FCAN(
            tiny.backbone(),
            3,
            image_size=tiny.SIZE,
            crop_size=24,
            part_sizes=(1, 2),
            tap=8,
            classifier_tap=8,
        ),
        lambda: DAF(
            tiny.backbone(), 3, image_size=tiny.SIZE, taps=(4, 8), groups=11
        ),
        lambda: DAF(
            tiny.backbone(), 3, image_size=tiny.SIZE, taps=(4, 8), groups=11
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
        model, tmp_path / "1", class_names=NAMES, image_size=tiny.SIZE
    )
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    images, _ = tiny.images_and_labels(4, size=41)
    expected = model.predict(images, verbose=0)
    found = served(image=tf.constant(images.astype("float32")))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4)
