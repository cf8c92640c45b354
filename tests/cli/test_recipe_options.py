import dataclasses
import types

import pytest

from keras_fgvc import recipes
from keras_fgvc.cli import make_recipe
from keras_fgvc.cli.messages import UsageError
from keras_fgvc.cli.recipe_options import by_stage, read_arguments


def options(**changes):
    given = {
        "recipe": "elope-short",
        "baseline": False,
        "arguments": "",
        "image_size": None,
        "load_size": None,
        "batch_size": None,
        "epochs": [],
        "batch_sizes": [],
        "rounds": 1,
        **changes,
    }
    return types.SimpleNamespace(**given)


def test_images_are_resized_as_asked():
    recipe = make_recipe(options(resize="pad", baseline=True))
    assert (recipe.method, recipe.resize) == ("Baseline", "pad")


def test_nothing_asked_for_is_the_recipe_itself():
    assert make_recipe(options()) == recipes.get("elope-short")


def test_everything_asked_for():
    recipe = make_recipe(
        options(
            recipe="elope-official",
            arguments="k=2",
            image_size=96,
            load_size=128,
            batch_size=4,
            epochs=["3", "crops=5"],
            batch_sizes=["localizer=7"],
            rounds=2,
        )
    )
    assert (recipe.image_size, recipe.load_size) == (96, 128)
    assert recipe.batch_size == 4
    assert recipe.arguments == {
        "batch_norm": "train",
        "renormalize": True,
        "k": 2,
    }
    assert [stage.epochs for stage in recipe.stages] == [3, 3, 5, 3] * 2
    sizes = [stage.batch_size for stage in recipe.stages]
    assert sizes == [None, 7, None, None] * 2


@pytest.mark.parametrize(
    ("name", "load_size"), [("elope-short", 640), ("daf-short", 448)]
)
def test_images_are_loaded_in_proportion_to_the_size_given(name, load_size):
    """Else the network would be shown small images, enlarged."""
    recipe = make_recipe(options(recipe=name, image_size=448))
    assert (recipe.image_size, recipe.load_size) == (448, load_size)
    recipe = make_recipe(options(recipe=name, load_size=500))
    assert (recipe.image_size, recipe.load_size) == (224, 500)


def test_the_plain_network_takes_the_users_arguments_not_the_recipes():
    recipe = make_recipe(
        options(
            recipe="wsdan-official",
            baseline=True,
            arguments="tap=16",
            image_size=96,
            load_size=128,
        )
    )
    assert (recipe.method, recipe.load_size) == ("Baseline", 96)
    # What is fair for the control: its batch normalisation is the recipe's.
    assert recipe.arguments == {"batch_norm": "train", "tap": 16}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"recipe": "nope"}, "`recipe` must be one of"),
        ({"recipe": "fcan-short", "baseline": True}, "no stage for the plain"),
        ({"epochs": ["dance=3"]}, "--epochs must name stages of classifier"),
        ({"epochs": ["crops=0"]}, "at least 1"),
        ({"epochs": ["crops"]}, "--epochs must be.*Received: 'crops'"),
        ({"batch_sizes": ["crops=x"]}, "--batch-sizes .* 'crops=x'"),
    ],
)
def test_what_there_is_not(changes, text):
    with pytest.raises(UsageError, match=text):
        make_recipe(options(**changes))


def test_arguments_are_json():
    text = (
        'a=1, b=false,c="x,y=z" ,d=[[1,2],[3]],e={"hint":0,"g":{"h":[]}},'
        "f=-0.5,g=null"
    )
    assert read_arguments(text) == {
        "a": 1,
        "b": False,
        "c": "x,y=z",
        "d": [[1, 2], [3]],
        "e": {"hint": 0, "g": {"h": []}},
        "f": -0.5,
        "g": None,
    }
    assert read_arguments(" ") == {}


@pytest.mark.parametrize(
    "text", ["k", "k=", "k:2", "=2", "k=2 b=3", "k=max", "k=2;b=3", "k=[1"]
)
def test_arguments_that_are_not(text):
    with pytest.raises(UsageError, match="must be name=value"):
        read_arguments(text)


def test_numbers_by_stage():
    recipe = recipes.get("fcan-short")
    everywhere = {"whole": 2, "localizer": 2, "parts": 2}
    assert by_stage(["2"], recipe, int, "--epochs") == everywhere
    assert by_stage(["2", "parts=9"], recipe, int, "--x") == {
        **everywhere,
        "parts": 9,
    }
    assert by_stage([], recipe, int, "--x") == {}


def test_rates_and_any_field_of_a_stage():
    recipe = make_recipe(
        options(
            learning_rate=["0.5", "crops=1e-5"],
            set=["crops.momentum=0.8", "weighted.batch_size=3"],
        )
    )
    rates = [stage.learning_rate for stage in recipe.stages]
    assert rates == [0.5, 0.5, 1e-5, 0.5]
    assert recipe.stages[2].momentum == 0.8
    assert recipe.stages[3].batch_size == 3
    recipe = make_recipe(options(recipe="fcan-short"))
    assert recipe.stages[1].batch_size == 64
    none = options(recipe="fcan-short", set=["localizer.batch_size=none"])
    assert make_recipe(none).stages[1].batch_size is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"learning_rate": ["fast"]}, "--learning-rate must be.*'fast'"),
        ({"learning_rate": ["-1"]}, "`learning_rate` must be a positive"),
        ({"set": ["crops.learning_rate=nan"]}, "must be a positive number"),
        ({"set": ["crops.momentum"]}, "--set must be STAGE.FIELD=VALUE"),
        ({"set": ["dance.momentum=1"]}, "STAGE of classifier, localizer"),
        ({"set": ["crops.name=x"]}, "FIELD of epochs, learning_rate"),
        ({"set": ["crops.epochs=many"]}, "--set crops.epochs must be of type"),
        ({"set": ["crops.optimizer=lion"]}, "`optimizer` must be one of"),
    ],
)
def test_rates_and_fields_that_are_not(changes, text):
    with pytest.raises(UsageError, match=text):
        make_recipe(options(**changes))


def test_fields_of_the_augmentation():
    given = recipes.get("elope-short").stages[2].augmentation
    settings = ["rotation=15", "horizontal_flip=false", "random_crop=0.5,1"]
    recipe = make_recipe(
        options(set=[f"crops.augmentation.{text}" for text in settings])
    )
    assert recipe.stages[2].augmentation == dataclasses.replace(
        given, rotation=15.0, horizontal_flip=False, random_crop=(0.5, 1.0)
    )
    assert recipe.stages[3].augmentation == given
    for text, value in (("reflect", "reflect"), ("3", 3.0)):
        recipe = make_recipe(
            options(set=[f"crops.augmentation.fill={text}"], rounds=2)
        )
        assert recipe.stages[6].augmentation.fill == value
    none = options(set=["crops.augmentation.random_crop=None"])
    assert make_recipe(none).stages[2].augmentation.random_crop is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotation=far", "rotation must be of type float. Received: 'far'"),
        ("rotation=999", "`rotation` must be between 0 and 180"),
        ("random_crop=1", "must be of type tuple or none"),
        ("horizontal_flip=1", "must be of type bool"),
        ("turn=1", "FIELD of epochs, .*augmentation.rotation"),
    ],
)
def test_fields_of_the_augmentation_that_are_not(text, message):
    with pytest.raises(UsageError, match=message):
        make_recipe(options(set=[f"crops.augmentation.{text}"]))
