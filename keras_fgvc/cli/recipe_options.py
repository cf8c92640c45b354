"""From the texts of a command line to a recipe."""

import json
import re

from keras_fgvc import recipes, training
from keras_fgvc.cli.messages import UsageError

SIZES = ("image_size", "load_size", "batch_size")
_JSON = json.JSONDecoder()


def make_recipe(options) -> recipes.Recipe:
    """The recipe with the sizes, epochs and arguments of a command line.

    Args:
        options: Anything with the attributes `recipe` (a name), `baseline`,
            `arguments` (a text such as "k=1,localize=false"), `image_size`,
            `load_size`, `batch_size` (numbers or None), `epochs`,
            `batch_sizes` (lists of texts such as "crops=4") and `rounds`.

    Raises:
        UsageError: If the recipe, or what is to be changed, does not exist.
    """
    try:
        recipe = recipes.get(options.recipe)
        recipe = recipe.replace(**_sizes(options, recipe))
        if options.baseline:
            recipe = training.baseline_recipe(recipe)
        recipe = recipe.replace(arguments=read_arguments(options.arguments))
        recipe = recipe.with_epochs(**by_stage(options.epochs, recipe))
        batch_sizes = by_stage(options.batch_sizes, recipe)
        recipe = recipe.with_batch_sizes(**batch_sizes)
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


def _how(text):
    return (
        "`arguments` must be name=value with commas between, the values JSON: "
        f'k=2,localize=false,pooling="max". Received: {text!r}.'
    )


def by_stage(texts, recipe) -> dict:
    """Numbers by stage from texts such as "crops=4"; "4" is for all stages.

    Raises:
        UsageError: If a text is neither.
    """
    numbers = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise UsageError(
                "Numbers of stages must be as 4 (of all) or crops=4. "
                f"Received: {text!r}."
            )
        names = [name] if name else [stage.name for stage in recipe.stages]
        numbers.update(dict.fromkeys(names, int(number)))
    return numbers
