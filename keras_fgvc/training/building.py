"""Builds the model of a recipe, and the recipe of its plain counterpart."""

import dataclasses
import hashlib
import inspect
import pathlib

from keras_fgvc import models
from keras_fgvc.models.phases import CLASSIFIER
from keras_fgvc.models.registry import get_method
from keras_fgvc.recipes import Recipe

# Arguments of a method that a recipe's `arguments` do not give.
GIVEN = ("backbone", "num_classes", "image_size", "weights")


def build_model(
    recipe: Recipe,
    backbone,
    num_classes: int,
    *,
    weights: str | None = "imagenet",
):
    """The recipe's method on a backbone, with the recipe's arguments.

    Args:
        recipe: From `keras_fgvc.recipes`.
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` with image input.
        num_classes: Integer, the number of classes.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.

    Returns:
        A `keras_fgvc.models` model, not trained yet.

    Raises:
        ValueError: If `arguments` of the recipe has a name that the method
            does not know, or a value is not as the method wants it.

    Example:

    ```python
    from keras_fgvc import recipes, training

    recipe = recipes.get("elope-short").replace(arguments={"k": 2})
    model = training.build_model(recipe, "mobilenet_v2", 4, weights=None)
    print(model.image_size, model.k)  # 224 2
    ```
    """
    check_arguments(recipe)
    method = get_method(recipe.method)
    options = dict(recipe.arguments)
    if "image_size" in inspect.signature(method).parameters:
        options["image_size"] = recipe.image_size
    model = method(backbone, num_classes, weights=weights, **options)
    model.initial_weights = _origin(backbone, weights)
    return model


def check_arguments(recipe: Recipe) -> None:
    """Raises if a recipe has an argument that its method does not know.

    Args:
        recipe: From `keras_fgvc.recipes`.

    Raises:
        ValueError: If it has one; the text lists those there are.
    """
    known = _arguments(get_method(recipe.method))
    unknown = [name for name in recipe.arguments if name not in known]
    if unknown:
        raise ValueError(
            f"{recipe.method} has no argument {unknown[0]!r} to set in a "
            f"recipe. It has {', '.join(sorted(known))}."
        )


def baseline_recipe(recipe: Recipe) -> Recipe:
    """The plain network by the same recipe, to compare a method with.

    It looks at whole images, at the size that the backbone of the method
    sees. Of the recipe's arguments it keeps those it has, such as
    `batch_norm`.

    Args:
        recipe: From `keras_fgvc.recipes`.

    Returns:
        A recipe for `models.Baseline`; a stage of a method that the plain
        network does not have is passed over by `fit`.

    Raises:
        ValueError: If the plain network has none of its stages.

    Example:

    ```python
    from keras_fgvc import recipes, training

    recipe = training.baseline_recipe(recipes.get("elope-short"))
    print(recipe.method, recipe.load_size)  # Baseline 224
    ```
    """
    stages = [stage.name for stage in recipe.stages]
    if CLASSIFIER not in stages:  # the one stage of `Baseline`
        raise ValueError(
            f"{recipe.name} has no stage for the plain network: its stages "
            f"are {', '.join(stages)}. Take the recipe of another method."
        )
    known = _arguments(models.Baseline)
    kept = {n: v for n, v in recipe.arguments.items() if n in known}
    return dataclasses.replace(
        recipe,
        method="Baseline",
        load_size=recipe.image_size,
        arguments=kept,
    )


def _origin(backbone, weights):
    """Describes the initial weights by name and checksum, not by path."""
    if not isinstance(backbone, str):
        return None  # a network that is given does not tell
    if weights is None:
        return "random"
    path = pathlib.Path(weights)
    if not path.is_file():
        return weights
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{path.name} (sha256 {digest[:12]})"


def _arguments(method):
    """Names that a recipe may set."""
    parameters = inspect.signature(method).parameters.values()
    return {
        p.name
        for p in parameters
        if p.kind is not p.VAR_KEYWORD and p.name not in GIVEN
    }
