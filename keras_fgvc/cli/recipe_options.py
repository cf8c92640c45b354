"""Makes a recipe of the texts of a command line."""

import json
import re
import typing
from types import NoneType

from keras_fgvc import recipes, training
from keras_fgvc.cli.messages import UsageError
from keras_fgvc.training.building import check_arguments

SIZES = ("image_size", "load_size", "batch_size")
# Options with a number by stage: the field of a stage, how it is read.
BY_STAGE = {
    "epochs": ("epochs", int),
    "batch_sizes": ("batch_size", int),
    "learning_rate": ("learning_rate", float),
}
_JSON = json.JSONDecoder()


def make_recipe(options) -> recipes.Recipe:
    """The recipe with the sizes, epochs and arguments of a command line.

    Args:
        options: Anything with the attributes `recipe` (a name), `baseline`,
            `arguments` (a text such as "k=1,localize=false"), `image_size`,
            `load_size`, `batch_size` (numbers or None), `epochs`,
            `batch_sizes` (lists of texts such as "crops=4") and `rounds`;
            optionally `learning_rate` and `set`, such lists too.

    Raises:
        UsageError: If the recipe, or what is to be changed, does not exist.
    """
    try:
        recipe = recipes.get(options.recipe)
        recipe = recipe.replace(**_sizes(options, recipe))
        if options.baseline:
            recipe = training.baseline_recipe(recipe)
        recipe = recipe.replace(arguments=read_arguments(options.arguments))
        check_arguments(recipe)
        for name, (field, read) in BY_STAGE.items():
            texts = getattr(options, name, None) or ()
            flag = "--" + name.replace("_", "-")
            for stage, value in by_stage(texts, recipe, read, flag).items():
                recipe = recipe.with_field(stage, field, value)
        for text in getattr(options, "set", None) or ():
            recipe = recipe.with_field(*read_setting(text, recipe))
        return recipe.with_rounds(options.rounds)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _sizes(options, recipe):
    """The sizes given; without one of loading, it keeps its ratio."""
    given = {name: getattr(options, name) for name in SIZES}
    given = {name: value for name, value in given.items() if value}
    if "image_size" in given and "load_size" not in given:
        ratio = recipe.load_size / recipe.image_size
        given["load_size"] = round(ratio * given["image_size"])
    return given


def read_arguments(text: str) -> dict:
    """Arguments of a model from a text such as "k=1,part_sizes=[1,2]".

    Raises:
        UsageError: If the text is not made of `name=value`, the values JSON.
    """
    arguments, rest = {}, text.strip()
    while rest:
        name = re.match(r"(\w+)\s*=\s*", rest)
        try:
            value, end = _JSON.raw_decode(rest, name.end())
        except (AttributeError, json.JSONDecodeError) as error:
            raise UsageError(_how(text)) from error
        arguments[name[1]] = value
        rest = rest[end:].lstrip()
        if rest and not rest.startswith(","):
            raise UsageError(_how(text))
        rest = rest[1:].lstrip()
    return arguments


def read_setting(text: str, recipe) -> tuple:
    """Stage, field and value from a text such as "crops.momentum=0.8".

    Args:
        text: As given to `--set`. The value is of the field's own type;
            "none" stands for none where a field may have none.
        recipe: Whose stages are named.

    Raises:
        UsageError: If there is no such stage or field, or the value has
            another type than the field.
    """
    place, sign, value = text.partition("=")
    stage, _, field = place.rpartition(".")
    names = [each.name for each in recipe.stages]
    if not sign or stage not in names or field not in _FIELDS:
        raise UsageError(
            f"--set must be STAGE.FIELD=VALUE with STAGE of {', '.join(names)} "
            f"and FIELD of {', '.join(_FIELDS)}. Received: {text!r}."
        )
    kinds = _FIELDS[field]
    if value.lower() == "none" and NoneType in kinds:
        return stage, field, None
    kind = kinds[0]
    try:
        return stage, field, kind(value)
    except ValueError as error:
        raise UsageError(
            f"--set {place} must be of type {kind.__name__}. "
            f"Received: {value!r}."
        ) from error


def _fields():
    """Types of a stage's fields that are one number or one text."""
    hints = typing.get_type_hints(recipes.Stage)
    kinds = {name: typing.get_args(h) or (h,) for name, h in hints.items()}
    del kinds["name"]  # the model knows its stages by it
    return {n: k for n, k in kinds.items() if k[0] in (int, float, str)}


_FIELDS = _fields()


def _how(text):
    return (
        "--arguments must be name=value with commas between, the values JSON: "
        f'k=2,localize=false,pooling="max". Received: {text!r}.'
    )


def by_stage(texts, recipe, read, flag) -> dict:
    """Reads numbers by stage from texts such as "crops=4".

    Args:
        texts: List of texts; "4" alone is for all stages.
        recipe: Whose stages are named.
        read: Function from a text to a number, which raises ValueError.
        flag: Name of the option, for the error.

    Raises:
        UsageError: If a text is neither.
    """
    numbers = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            value = read(number)
        except ValueError as error:
            raise UsageError(
                f"{flag} must be a number for all stages, or STAGE=NUMBER. "
                f"Received: {text!r}."
            ) from error
        names = [name] if name else [stage.name for stage in recipe.stages]
        numbers.update(dict.fromkeys(names, value))
    return numbers
