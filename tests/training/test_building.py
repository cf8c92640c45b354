import hashlib

import keras
import pytest

from keras_fgvc import models, recipes, training
from tests import tiny


def tiny_recipe(name="elope-short", **changes):
    return recipes.get(name).replace(
        image_size=tiny.SIZE, load_size=tiny.SIZE + 8, **changes
    )


def test_the_method_with_its_size_and_arguments():
    recipe = tiny_recipe(arguments={"k": 3, "tap": 8, "embedding_dim": 7})
    model = training.build_model(recipe, tiny.backbone(), 5)
    assert type(model) is models.ELoPE
    assert (model.image_size, model.num_classes) == (tiny.SIZE, 5)
    assert (model.k, model.embedding_dim) == (3, 7)


def test_a_method_without_an_image_size():
    recipe = training.baseline_recipe(tiny_recipe(arguments={"tap": 8}))
    model = training.build_model(recipe, tiny.backbone(), 2)
    assert type(model) is models.Baseline
    assert not hasattr(model, "image_size")


def test_weights_go_to_the_backbone(tmp_path):
    path = tmp_path / "gone.weights.h5"
    recipe = training.baseline_recipe(tiny_recipe())
    with pytest.raises(ValueError, match=r"gone\.weights\.h5"):
        training.build_model(recipe, "mobilenet_v2", 2, weights=str(path))


def test_where_weights_came_from_is_noted(tmp_path):
    recipe = training.baseline_recipe(tiny_recipe())
    path = tmp_path / "mine.weights.h5"

    def build(weights):
        model = training.build_model(recipe, "mobilenet", 2, weights=weights)
        return model.initial_weights

    assert build(None) == "random"
    tapped = recipe.replace(arguments={"tap": 8})
    given = training.build_model(tapped, tiny.backbone(), 2)
    assert given.initial_weights is None
    notes = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        keras.applications.MobileNet(
            weights=None, include_top=False
        ).save_weights(path)
        notes.append(build(str(path)))
    assert notes[0] != notes[1]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert notes[1] == f"mine.weights.h5 (sha256 {digest[:12]})"


@pytest.mark.parametrize("name", ["kk", "image_size", "weights", "kwargs"])
def test_arguments_that_cannot_be_set(name):
    recipe = tiny_recipe(arguments={name: 1})
    with pytest.raises(
        ValueError, match=rf"ELoPE has no argument '{name}'.*batch_norm.*k, "
    ):
        training.build_model(recipe, tiny.backbone(), 2)


def test_the_plain_network_by_the_same_recipe():
    recipe = recipes.get("daf-paper")
    plain = training.baseline_recipe(recipe.replace(load_size=640))
    assert (plain.method, plain.image_size) == ("Baseline", recipe.image_size)
    assert plain.load_size == recipe.image_size  # it looks at whole images
    assert plain.arguments == {"batch_norm": "train"}  # not num_parts
    assert plain.stages == recipe.stages
    assert recipe.arguments["num_parts"] == 3  # the recipe is what it was


def test_a_recipe_without_a_stage_for_the_plain_network():
    with pytest.raises(
        ValueError, match=r"no stage for the plain network.*whole, localizer"
    ):
        training.baseline_recipe(recipes.get("fcan-short"))
