import pytest

from keras_fgvc import models, recipes
from keras_fgvc.models import FineGrainedModel, register_method, registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    for name in ("_METHODS", "_RECIPES"):
        copy = dict(getattr(registry, name))
        monkeypatch.setattr(registry, name, copy)


def recipe(method):
    return recipes.get("elope-short").replace(name="mine-short", method=method)


def test_a_method_and_its_recipes_are_found_by_name():
    @register_method("mine", recipes=(recipe("Mine"),))
    class Mine(FineGrainedModel):
        pass

    assert registry.get_method("mine") is registry.get_method("Mine") is Mine
    assert recipes.get("mine-short").method == "Mine"
    assert recipes.available()[-1] == "mine-short"


def test_ours_are_registered():
    for name in ("elope", "coarse2fine", "painless", "fcan", "daf"):
        method = registry.get_method(name)
        assert getattr(models, method.__name__) is method
        assert recipes.get(f"{name}-short").method == method.__name__


def test_what_is_no_method():
    with pytest.raises(TypeError, match="a subclass of `FineGrainedModel`"):
        register_method("mine")(dict)
    with pytest.raises(ValueError, match=r"`recipe\.method` must be one of"):
        register_method("mine", recipes=(recipe("Yours"),))(
            type("Mine", (FineGrainedModel,), {})
        )
    with pytest.raises(ValueError, match="`method` must be one of 'B"):
        registry.get_method("mine")
