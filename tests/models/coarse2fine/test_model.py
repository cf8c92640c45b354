import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_fgvc import backbones, recipes
from keras_fgvc.models import Coarse2Fine
from keras_fgvc.ops import box_area, updated_centers
from tests import tiny
from tests.gradients import _jax, _tensorflow, _torch

BATCH, MAPS, CHANNELS = 6, 4, 11
VIEWS = ("highlight", "crop_drop")
TAKE = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def make(**options):
    settings = {"image_size": tiny.SIZE, "num_maps": MAPS, "tap": 8}
    return Coarse2Fine(
        tiny.backbone(), tiny.NUM_CLASSES, **{**settings, **options}
    )


def train(model, epochs=2):
    images, labels = tiny.images_and_labels()
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    before = {w.path: to_numpy(w.value) for w in model.weights}
    history = model.fit(images, labels, epochs=epochs, verbose=0).history
    moved = {
        w.path
        for w in model.weights
        if not np.array_equal(before[w.path], to_numpy(w.value))
    }
    return history, moved


def softmax(logits):
    return to_numpy(keras.ops.softmax(logits))


@pytest.mark.compiled
@pytest.mark.parametrize("augment", VIEWS)
def test_outputs(augment):
    images, _ = tiny.images_and_labels(size=41)
    outputs = make(augment=augment).predict(images, verbose=0)
    shapes = {name: value.shape for name, value in outputs.items()}
    classes, parts = (BATCH, 3), (BATCH, MAPS, CHANNELS)
    assert shapes == {
        "probabilities": classes,
        "logits": classes,
        "coarse_logits": classes,
        "fine_logits": classes,
        "attention": (BATCH, 4, 4, MAPS),
        "heatmap": (BATCH, 4, 4),
        "boxes": (BATCH, 1, 4),
        "parts": parts,
        "fine_parts": parts,
    }
    np.testing.assert_allclose(
        outputs["heatmap"], outputs["attention"].mean(-1), rtol=1e-5
    )
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)
    norms = np.linalg.norm(outputs["parts"].reshape(BATCH, -1), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-3)


def test_three_ways_to_predict():
    images, _ = tiny.images_and_labels()
    model = make()
    both = model.predict(images, verbose=0)
    coarse, fine = (softmax(both[f"{n}_logits"]) for n in ("coarse", "fine"))
    assert not np.allclose(coarse, fine)
    np.testing.assert_allclose(
        both["probabilities"], (coarse + fine) / 2, rtol=1e-4
    )
    for name, expected in (("coarse", coarse), ("fine", fine)):
        other = make(predict_with=name)
        other.set_weights(model.get_weights())
        found = other.predict(images, verbose=0)["probabilities"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_coarse_model_is_the_first_look_alone():
    images, _ = tiny.images_and_labels(size=41)
    model = make()
    whole = model.predict(images, verbose=0)
    first = model.coarse_model()
    names = {layer.name for layer in first.layers}
    assert not names & {"highlight", "choice", "fine_logits", "fusion"}
    outputs = first.predict(images, verbose=0)
    np.testing.assert_allclose(
        outputs["probabilities"], softmax(whole["coarse_logits"]), rtol=1e-4
    )
    for name in ("attention", "heatmap", "boxes", "parts"):
        np.testing.assert_allclose(outputs[name], whole[name], rtol=1e-5)


def test_coarse_model_comes_back_from_a_file(tmp_path):
    """With the threshold that was set last."""
    images, _ = tiny.images_and_labels()
    model = make()
    model.set_threshold(0.7)
    first = model.coarse_model()
    first.save(tmp_path / "first.keras")
    loaded = keras.saving.load_model(tmp_path / "first.keras")
    expected = first.predict(images, verbose=0)
    for name, found in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-5)


def test_second_look_is_the_first_on_the_highlighted_image():
    """Feed the highlighted image to the same layers by hand."""
    images, _ = tiny.images_and_labels()
    model = make()
    outputs = model.predict(images, verbose=0)
    mask = model.upsampler(outputs["heatmap"][..., None])
    mask = to_numpy(mask)
    mask = mask / mask.max(axis=(1, 2), keepdims=True)
    lit = 127.5 + mask * (images - 127.5)
    assert lit.std() < images.std()
    feature_map = model.features(lit.astype("float32"))
    attention = model.get_layer("attention_maps")(feature_map)
    parts = model.get_layer("part_pooling")([feature_map, attention])
    np.testing.assert_allclose(
        to_numpy(parts), outputs["fine_parts"], rtol=1e-3, atol=1e-4
    )


@pytest.mark.compiled
@pytest.mark.parametrize("augment", VIEWS)
def test_loss_is_the_weighted_sum_and_all_learns(augment):
    model = make(augment=augment, center_weight=0.5)
    # JAX compiles for long: what it learns is the same everywhere.
    on_jax = keras.backend.backend() == "jax"
    history, moved = train(model, epochs=2 if on_jax else 25)
    weights = (1, 1) if augment == "highlight" else (1 / 3, 2 / 3)
    for step in range(len(history["loss"])):
        np.testing.assert_allclose(
            history["loss"][step],
            weights[0] * history["coarse"][step]
            + weights[1] * history["fine"][step]
            + 0.5 * history["centers"][step],
            rtol=1e-4,
        )
    still = {w.path for w in model.weights} - moved
    expected = {path for path in still if "batch_norm" in path}
    if augment == "crop_drop":
        expected.add("upsampler/kernel")
    expected |= {path for path in still if path.startswith("seed_gen")}
    assert still == expected
    assert any("attention_maps" in path for path in moved)
    assert any("centers" in path for path in moved)
    if not on_jax:
        assert_knows_the_colours(model, history)


def assert_knows_the_colours(model, history):
    for name in ("coarse", "fine"):
        assert history[name][-1] < 0.2 * history[name][0]
    images, labels = tiny.images_and_labels()
    # The second look's mask differs between training and inference.
    first_look = model.predict(images, verbose=0)["coarse_logits"]
    assert np.mean(first_look.argmax(1) == labels) >= 4 / 6


def activation(scores):
    """What turns scores into attention maps."""
    scores = scores - keras.ops.mean(scores, axis=(1, 2), keepdims=True)
    variance = keras.ops.mean(scores**2, axis=(1, 2), keepdims=True)
    return keras.ops.relu(scores / keras.ops.sqrt(variance + 1e-5))


def attention_gradient(model, cut):
    """Gradient of the fine loss to the attention's kernel.

    `cut` is whether the mask that lights up the image is held constant.
    """
    images, labels = tiny.images_and_labels()
    images = images.astype("float32")
    layer = model.get_layer("attention_maps")
    feature_map = model.features(images)

    def loss(kernel):
        scores = keras.ops.conv(feature_map, kernel)
        heatmap = keras.ops.mean(activation(scores), axis=-1)
        if cut:
            heatmap = keras.ops.stop_gradient(heatmap)
        masks = model.upsampler(keras.ops.expand_dims(heatmap, -1))
        lit = model.get_layer("highlight")([images, masks])
        second = model.features(lit)
        held = keras.ops.stop_gradient(kernel)
        attention = activation(keras.ops.conv(second, held))
        parts = model.get_layer("part_pooling")([second, attention])
        flat = keras.ops.reshape(parts, (BATCH, MAPS * CHANNELS))
        logits = model.get_layer("fine_logits")(100 * flat)
        return keras.ops.mean(
            keras.losses.sparse_categorical_crossentropy(
                labels, logits, from_logits=True
            )
        )

    kernel = to_numpy(layer.kernel.value)
    (found,) = TAKE[keras.backend.backend()](loss, [kernel], lambda fn: fn)
    return found


def test_fine_loss_teaches_the_attention_through_the_mask_alone():
    model = make()
    assert np.all(attention_gradient(model, cut=True) == 0)
    assert np.max(np.abs(attention_gradient(model, cut=False))) > 1e-6


def test_the_model_itself_has_that_gradient():
    """A step of SGD at rate 1 on the fine loss moves the kernel by it."""
    images, labels = tiny.images_and_labels()
    model = make()
    kernel = model.get_layer("attention_maps").kernel
    # Equal maps: whichever is drawn in training, it is the mean of them all.
    start = np.repeat(to_numpy(kernel.value)[..., :1], MAPS, axis=-1)
    kernel.assign(start)
    expected = attention_gradient(model, cut=False).sum(axis=-1)
    model.loss_weights = {"coarse": 0.0, "fine": 1.0}
    model.compile(keras.optimizers.SGD(1.0))
    model.fit(images, labels, batch_size=BATCH, verbose=0)
    found = (start - to_numpy(kernel.value)).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_held_kernel_gets_no_gradient_but_its_features_do():
    layer = make().get_layer("attention_maps")
    features = np.random.default_rng(0).normal(size=(2, 3, 5, CHANNELS))
    features = features.astype("float32")

    def loss(hold):
        def value(inputs, kernel):
            scores = layer.stateless_call([kernel], [], inputs, hold=hold)[0]
            return keras.ops.sum(scores**2)

        return value

    take = TAKE[keras.backend.backend()]
    kernel = to_numpy(layer.kernel.value)
    for hold in (False, True):
        inner, own = take(loss(hold), [features, kernel], lambda fn: fn)
        assert np.any(inner != 0)
        assert np.any(own != 0) == (not hold)


def test_both_looks_are_counted_in_the_centres():
    """A label twice in a batch, and both looks: four parts of one class."""
    images, _ = tiny.images_and_labels(2)
    labels = np.array([1, 1])
    model = make(center_rate=0.25)
    outputs = {
        name: keras.ops.convert_to_tensor(value)
        for name, value in model.predict(images, verbose=0).items()
    }
    model.loss_terms(keras.ops.convert_to_tensor(labels), outputs, True)
    found = to_numpy(model.center_loss.centers)
    rows = np.concatenate(
        [to_numpy(outputs[n]) for n in ("parts", "fine_parts")]
    )
    expected = updated_centers(
        np.zeros((3, MAPS * CHANNELS), "float32"),
        rows.reshape(4, -1),
        np.array([1, 1, 1, 1]),
        0.25,
    )
    np.testing.assert_allclose(
        found[1].reshape(-1), to_numpy(expected)[0], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(found[[0, 2]], 0)


def test_extra_weights_are_the_papers_6144():
    """Eight maps on InceptionV3's mixed7, its 768 channels."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("builds InceptionV3; the same on every backend")
    model = Coarse2Fine("inception_v3", 200, image_size=96, weights=None)
    assert model.features.output.shape[-1] == 768
    assert model.get_layer("attention_maps").count_params() == 6144
    named = backbones.build("inception_v3", taps=("mixed7",), weights=None)
    assert named.count_params() == model.features.count_params()


def test_orthogonal_start_and_without():
    def products(orthogonal):
        kernel = to_numpy(
            make(orthogonal=orthogonal, kernel_offset=0.0)
            .get_layer("attention_maps")
            .kernel.value
        )
        kernel = kernel.reshape(CHANNELS, MAPS)
        return kernel.T @ kernel

    np.testing.assert_allclose(products(True), np.eye(MAPS), atol=1e-5)
    assert np.max(np.abs(products(False) - np.eye(MAPS))) > 0.1


def test_maps_start_with_an_offset_that_the_papers_recipe_leaves_out():
    kernel = to_numpy(make().get_layer("attention_maps").kernel.value)
    kernel = kernel.reshape(CHANNELS, MAPS) - 0.1 / CHANNELS**0.5
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(MAPS), atol=1e-5)
    paper = recipes.get("coarse2fine-paper").arguments
    assert paper["kernel_offset"] == 0.0
    assert recipes.get("wsdan-official").arguments["maps_norm"] == "batch"


@pytest.mark.parametrize("augment", VIEWS)
def test_batch_normalised_maps_train_and_are_saved(augment, tmp_path):
    images, _ = tiny.images_and_labels()
    model = make(augment=augment, maps_norm="batch")
    model.begin_stage("classifier")
    history, moved = train(model)
    assert np.all(np.isfinite(history["loss"]))
    for name in ("norm", "second_norm"):
        for weight in ("gamma", "moving_mean"):
            assert f"attention_maps/{name}/{weight}" in moved
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "batch.keras")
    loaded = keras.saving.load_model(tmp_path / "batch.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["attention"],
        expected["attention"],
        rtol=1e-5,
    )


def test_older_files_say_whether_maps_are_standardized():
    for old, norm in ((True, "standardize"), (False, "none")):
        config = make(maps_norm="none").get_config()
        del config["maps_norm"], config["kernel_offset"]
        model = Coarse2Fine.from_config({**config, "standardize_maps": old})
        assert model.maps_norm == norm
    with pytest.warns(FutureWarning, match="standardize_maps"):
        assert make(standardize_maps=False).maps_norm == "none"


def test_upsampler_stage_trains_it_alone():
    model = make()
    assert model.stages == ("upsampler", "classifier")
    model.begin_stage("upsampler")
    assert [w.path for w in model.trainable_variables] == ["upsampler/kernel"]
    model.begin_stage("classifier")
    assert "upsampler/kernel" in [w.path for w in model.trainable_variables]
    assert make(augment="crop_drop").stages == ("classifier",)


def test_predictions_are_not_random():
    images, _ = tiny.images_and_labels()
    for augment in VIEWS:
        model = make(augment=augment)
        first = model.predict(images, verbose=0)
        second = model.predict(images, verbose=0)
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])


@pytest.mark.parametrize("augment", VIEWS)
def test_save_and_load_under_safe_mode(augment, tmp_path):
    images, _ = tiny.images_and_labels()
    model = make(augment=augment, center_rate=0.2, threshold=0.6, scale=7.0)
    train(model, epochs=1)
    expected = model.predict(images, verbose=0)
    path = tmp_path / "coarse2fine.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert loaded.get_config().keys() == model.get_config().keys()
    assert (loaded.augment, loaded.center_rate) == (augment, 0.2)
    np.testing.assert_array_equal(
        to_numpy(loaded.center_loss.centers),
        to_numpy(model.center_loss.centers),
    )
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)


@pytest.mark.compiled
def test_set_threshold_moves_the_boxes():
    images, _ = tiny.images_and_labels()
    model = make(threshold=0.1)
    before = model.predict(images, verbose=0)["boxes"]
    model.set_threshold(0.9)
    after = model.predict(images, verbose=0)["boxes"]
    areas = [to_numpy(box_area(b[:, 0])).mean() for b in (before, after)]
    assert areas[1] < areas[0]
    assert model.get_config()["threshold"] == 0.9


@pytest.mark.parametrize("augment", VIEWS)
def test_mixed_precision(augment):
    images, labels = tiny.images_and_labels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(augment=augment)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam")
    history = model.fit(images, labels, verbose=0).history
    assert np.isfinite(history["loss"][0])
    outputs = model.predict(images, verbose=0)
    assert outputs["probabilities"].dtype == np.float32
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "cutmix"}, "`augment` must be one of 'highlight'"),
        ({"predict_with": "best"}, "`predict_with` must be one of 'both'"),
        ({"num_maps": 0}, "`num_maps` must be at least 1"),
        ({"center_weight": -1.0}, "`center_weight` must be between"),
        ({"pooling": "sum"}, "`pooling` must be one of"),
        ({"maps_norm": "layer"}, "`maps_norm` must be one of 'standardize'"),
        ({"kernel_offset": -0.1}, "`kernel_offset` must be between"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize("augment", VIEWS)
def test_each_look_has_its_own_statistics_and_keeps_them(augment, tmp_path):
    model = make(augment=augment, batch_norm="train")
    train(model, epochs=1)
    images, _ = tiny.images_and_labels()
    means = {}
    for network in model.feature_extractors():
        norm = network.get_layer(
            next(n.name for n in network.layers if "batch_norm" in n.name)
        )
        assert norm.trainable
        means[network.name] = to_numpy(norm.moving_mean)
        assert np.abs(means[network.name]).max() > 0
    assert np.abs(means["features"] - means["second_features"]).max() > 1e-3
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.predict(images, verbose=0)
    for name, found in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5)


def test_statistics_of_the_second_look_leave_the_first_alone():
    """The first look's move as in the backbone by itself."""
    images, _ = tiny.images_and_labels()
    model = make(batch_norm="train")
    plain = keras.models.clone_model(model.features)
    plain.set_weights(model.features.get_weights())
    model(images, training=True)
    plain(images.astype("float32"), training=True)
    for found, expected in zip(
        model.features.get_weights(), plain.get_weights(), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_frozen_batch_norm_is_one():
    model = make()
    first, second = model.feature_extractors()
    assert first is second


def test_head_variables_are_all_but_the_backbones():
    model = make(batch_norm="train")
    names = {v.path.split("/")[0] for v in model.head_variables()}
    assert names == {
        "attention_maps", "coarse_logits", "fine_logits", "upsampler",
    }  # fmt: skip
