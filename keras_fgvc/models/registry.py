"""The methods by name, with their recipes: ours and a user's own."""

from keras_fgvc._checks import check_choice
from keras_fgvc.models.base import FineGrainedModel

_METHODS = {}  # name of a class -> the class
_RECIPES = {}  # name of a recipe -> the recipe


def register_method(name: str, *, recipes: tuple = ()):
    """Registers a class as a method, so that recipes can name it.

    `keras-fgvc train --register FILE.py --method NAME` then trains it. A
    second registration of a name replaces the first, because a notebook runs
    its cells again. To load saved files, register the class with
    `keras.saving.register_keras_serializable` as well.

    Args:
        name: Name of the method on the command line, whose default recipe is
            `NAME-short`.
        recipes: `keras_fgvc.recipes.Recipe` of the method. Their `method` is
            the name of the class, or `name`.

    Returns:
        A decorator of a `FineGrainedModel`.

    Raises:
        TypeError: If what is decorated is not a `FineGrainedModel`.
        ValueError: If a recipe is of another method.

    Example: `examples/sixth_method.py`.
    """

    def register(method):
        if not isinstance(method, type) or not issubclass(
            method, FineGrainedModel
        ):
            raise TypeError(
                "`register_method` must decorate a subclass of "
                f"`FineGrainedModel`. Received: {method!r}."
            )
        names = (method.__name__, name)
        for recipe in recipes:
            check_choice("recipe.method", recipe.method, names)
        _METHODS.update(dict.fromkeys(names, method))
        _RECIPES.update({recipe.name: recipe for recipe in recipes})
        return method

    return register


def get_method(name: str) -> type:
    """Returns the class of a registered method.

    Args:
        name: Name of the class, or the name it was registered by.

    Raises:
        ValueError: If no method has this name.
    """
    check_choice("method", name, tuple(_METHODS))
    return _METHODS[name]


def registered_recipes() -> dict:
    """Returns the recipes of all registered methods by name."""
    return dict(_RECIPES)
