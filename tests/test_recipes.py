import pytest

from keras_fgvc import models, recipes
from tests import tiny


@pytest.mark.parametrize("name", recipes.available())
def test_recipe_fits_its_method(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    method = getattr(models, recipe.method)
    assert tuple(stage.name for stage in recipe.stages) == method.stages
    model = method(tiny.backbone(), 3, tap=8, **recipe.arguments)
    for key, value in recipe.arguments.items():
        assert getattr(model, key) == value


def test_elope_paper_holds_table_2_and_section_6():
    recipe = recipes.get("elope-paper")
    model = models.ELoPE(tiny.backbone(), 3, tap=8, **recipe.arguments)
    assert (model.mean_rate, model.embedding_weight) == (0.5, 2.0)
    assert (model.between_weight, model.margin) == (16.0, 0.75)
    assert (model.k, model.threshold, model.embedding_dim) == (4, 0.3, 512)
    assert (recipe.image_size, recipe.batch_size) == (448, 14)
    classifier, _, _, weighted = recipe.stages
    assert (classifier.epochs, weighted.epochs) == (90, 30)
    assert (classifier.learning_rate, classifier.step_epochs) == (3e-3, 30)
    assert (classifier.momentum, classifier.weight_decay) == (0.9, 1e-3)


def test_replace_merges_arguments_and_leaves_the_original():
    recipe = recipes.get("elope-official")
    changed = recipe.replace(batch_size=3, arguments={"k": 2})
    assert changed.arguments == {"renormalize": True, "k": 2}
    assert changed.batch_size == 3
    assert recipe.arguments == {"renormalize": True}


def test_with_epochs():
    recipe = recipes.get("elope-short").with_epochs(crops=3)
    assert [s.epochs for s in recipe.stages] == [8, 12, 3, 2]
    with pytest.raises(ValueError, match="`stage` must be one of 'classifier'"):
        recipe.with_epochs(crop=3)


def test_unknown_names():
    with pytest.raises(ValueError, match="`recipe` must be one of 'elope-pap"):
        recipes.get("elope")
    with pytest.raises(ValueError, match="`schedule` must be one of"):
        recipes.Stage("classifier", 1, 0.1, schedule="linear")
    with pytest.raises(ValueError, match="`epochs` must be at least 1"):
        recipes.Stage("classifier", 0, 0.1)
