"""Each paper's hyper-parameters and stages, as frozen dataclasses.

A recipe ending in `-paper` holds what the paper prints, one in `-official`
what its authors' code does, one in `-short` a budget of ours for few images
and few epochs. Nothing else in the package carries a number of a paper.
"""

from keras_fgvc._checks import check_choice
from keras_fgvc.models.recipe import Recipe, Stage, from_dict
from keras_fgvc.models.registry import registered_recipes

__all__ = ["Recipe", "Stage", "available", "from_dict", "get"]


def available() -> tuple[str, ...]:
    """Names of the recipes, those of registered methods included."""
    return tuple(registered_recipes())


def get(name: str) -> Recipe:
    """The recipe of that name.

    Args:
        name: One of `available()`.

    Raises:
        ValueError: If there is none; the text lists those there are.

    Example:

    ```python
    from keras_fgvc import recipes

    recipe = recipes.get("elope-short").with_epochs(classifier=4)
    print(recipe.image_size)  # 224
    ```
    """
    by_name = registered_recipes()
    check_choice("recipe", name, tuple(by_name))
    return by_name[name]
