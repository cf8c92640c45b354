"""Makes a recipe of the texts of a command line."""

import contextlib
import dataclasses
import json
import re
import types
import typing
from types import NoneType

from keras_fgvc import data, recipes, training
from keras_fgvc.cli.messages import UsageError
from keras_fgvc.training.building import check_arguments

SIZES = ("image_size", "load_size", "batch_size", "resize")
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
            optionally `learning_rate` and `set`, such lists too, and `resize`.

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
            recipe = set_field(recipe, *read_setting(text, recipe))
        return recipe.with_rounds(options.rounds)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _sizes(options, recipe):
    """The sizes given; without one of loading, it keeps its ratio."""
    given = {name: getattr(options, name, None) for name in SIZES}
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
        text: As given to `--set`. The value is of the field's own type, as
            15, true, reflect or 0.5,1; "none" stands for none where a field
            may have none. Fields of the augmentation are named like
            "crops.augmentation.rotation".
        recipe: Whose stages are named.

    Raises:
        UsageError: If there is no such stage or field, or the value has
            another type than the field.
    """
    place, sign, value = text.partition("=")
    stage, _, field = place.strip().partition(".")
    names = [each.name for each in recipe.stages]
    if not sign or stage not in names or field not in _FIELDS:
        raise UsageError(
            f"--set must be STAGE.FIELD=VALUE with STAGE of {', '.join(names)} "
            f"and FIELD of {', '.join(_FIELDS)}. Received: {text!r}."
        )
    kinds = _FIELDS[field]
    for kind in kinds:
        with contextlib.suppress(ValueError):
            return stage, field, _READERS[kind](value.strip())
    wanted = " or ".join(kind.__name__ for kind in kinds)
    raise UsageError(
        f"--set {place} must be of type {wanted.replace('NoneType', 'none')}. "
        f"Received: {value!r}."
    )


def set_field(recipe, stage: str, field: str, value) -> recipes.Recipe:
    """A copy of a recipe with another value of a field of `read_setting`."""
    outer, _, inner = field.partition(".")
    if not inner:
        return recipe.with_field(stage, field, value)
    given = next(each for each in recipe.stages if each.name == stage)
    changed = dataclasses.replace(getattr(given, outer), **{inner: value})
    return recipe.with_field(stage, outer, changed)


def _read_none(text):
    if text.lower() != "none":
        raise ValueError
    return None


def _read_bool(text):
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _read_pair(text):
    low, high = text.strip("()[]").split(",")
    return float(low), float(high)


_READERS = {
    int: int,
    float: float,
    str: str,
    bool: _read_bool,
    tuple: _read_pair,
    NoneType: _read_none,
}


def _fields(owner):
    """The types that each field of a dataclass may have."""
    for name, hint in typing.get_type_hints(owner).items():
        is_union = isinstance(hint, types.UnionType)
        kinds = typing.get_args(hint) if is_union else (hint,)
        kinds = tuple(typing.get_origin(kind) or kind for kind in kinds)
        if all(kind in _READERS for kind in kinds):
            yield name, kinds


_FIELDS = dict(_fields(recipes.Stage))
del _FIELDS["name"]  # the model knows its stages by it
_FIELDS |= {f"augmentation.{n}": k for n, k in _fields(data.Augmentation)}


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
        known = [stage.name for stage in recipe.stages]
        if name and name not in known:
            raise UsageError(
                f"{flag} must name stages of {', '.join(known)}. "
                f"Received: {text!r}."
            )
        names = [name] if name else known
        numbers.update(dict.fromkeys(names, value))
    return numbers
