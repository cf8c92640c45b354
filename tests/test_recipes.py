import pytest

from keras_fgvc import models, recipes
from keras_fgvc.models import registry
from tests import tiny

# The tiny backbone ends at stride 8.
PLACES = {
    "Baseline": {"tap": 8},
    "ELoPE": {"tap": 8},
    "PainlessAttention": {"taps": (4, 8), "tap": 8},
    "Coarse2Fine": {"image_size": 32, "tap": 8},
    "FCAN": {"image_size": 64, "taps": (8, 8)},
    "DAF": {"image_size": 32, "taps": (4, 8), "groups": 11},
}


@pytest.mark.parametrize("name", recipes.available())
def test_recipe_fits_its_method(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    method = registry.get_method(recipe.method)
    places = PLACES[recipe.method]
    model = method(tiny.backbone(), 3, **places, **recipe.arguments)
    names = dict.fromkeys(stage.name for stage in recipe.stages)
    assert tuple(names) == model.stages
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
    shared = {"batch_norm": "train", "renormalize": True}
    assert changed.arguments == {**shared, "k": 2}
    assert changed.batch_size == 3
    assert recipe.arguments == shared


def test_with_epochs():
    recipe = recipes.get("elope-short").with_epochs(crops=3)
    assert [s.epochs for s in recipe.stages] == [8, 12, 3, 2]
    with pytest.raises(ValueError, match="`stage` must be one of 'classifier'"):
        recipe.with_epochs(crop=3)


def test_with_batch_sizes():
    recipe = recipes.get("fcan-paper").with_batch_sizes(localizer=7)
    assert [s.batch_size for s in recipe.stages] == [None, 7, None]
    with pytest.raises(ValueError, match="`stage` must be one of 'whole'"):
        recipe.with_batch_sizes(crops=3)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        recipe.with_batch_sizes(whole=0)


def test_with_rounds():
    recipe = recipes.get("fcan-short").with_rounds(2)
    names = [stage.name for stage in recipe.stages]
    assert names == ["whole", "localizer", "parts"] * 2
    assert recipe.stages[0] == recipe.stages[3]
    with pytest.raises(ValueError, match="`count` must be at least 1"):
        recipe.with_rounds(0)


def test_unknown_names():
    with pytest.raises(ValueError, match="`recipe` must be one of 'baseline-s"):
        recipes.get("elope")
    with pytest.raises(ValueError, match="`schedule` must be one of"):
        recipes.Stage("classifier", 1, 0.1, schedule="linear")
    with pytest.raises(ValueError, match="`epochs` must be at least 1"):
        recipes.Stage("classifier", 0, 0.1)


def test_painless_paper_holds_section_4_2():
    recipe = recipes.get("painless-paper")
    (stage,) = recipe.stages
    assert (recipe.image_size, recipe.batch_size) == (224, 64)
    assert (stage.epochs, stage.learning_rate, stage.head_rate) == (
        100,
        1e-3,
        10.0,
    )
    assert (stage.schedule, stage.step_epochs, stage.step_factor) == (
        "step",
        30,
        0.5,
    )
    augmentation = stage.augmentation
    # Resized to 256, a square of 224 cut out of it: always this share.
    assert augmentation.random_crop == ((224 / 256) ** 2,) * 2
    assert augmentation.horizontal_flip
    assert not augmentation.changes_colours


def test_painless_digits_paper_holds_section_4_1():
    first, second = recipes.get("painless-digits-paper").stages
    assert (first.name, second.name) == ("classifier", "classifier")
    assert (first.epochs, first.epochs + second.epochs) == (60, 200)
    rates = (first.learning_rate, second.learning_rate)
    assert rates == (0.1, 0.01)
    assert (first.optimizer, first.schedule) == ("sgd", "constant")


@pytest.mark.parametrize(
    "name",
    [
        "elope-paper",
        "elope-official",
        "painless-paper",
        "coarse2fine-paper",
        "wsdan-official",
    ],
)
def test_recipes_of_papers_train_batch_normalisation(name):
    assert recipes.get(name).arguments["batch_norm"] == "train"


def test_coarse2fine_paper_holds_the_setup():
    recipe = recipes.get("coarse2fine-paper")
    upsampler, classifier = recipe.stages
    assert recipe.batch_size == 64
    assert (upsampler.num_examples, upsampler.epochs) == (60_000, 100)
    assert classifier.epochs == 200
    assert (classifier.momentum, classifier.weight_decay) == (0.9, 1e-5)
    model = models.Coarse2Fine(tiny.backbone(), 3, image_size=32, tap=8)
    assert (model.num_maps, model.center_weight) == (8, 1.0)


def test_wsdan_official_holds_what_its_code_does():
    recipe = recipes.get("wsdan-official")
    (stage,) = recipe.stages
    assert (recipe.batch_size, stage.epochs) == (12, 160)
    assert recipe.arguments["num_maps"] == 32
    assert (stage.step_epochs, stage.step_factor) == (2, 0.9)
    assert stage.augmentation.random_crop == ((448 / 512) ** 2,) * 2


def test_fcan_paper_holds_section_5_1():
    recipe = recipes.get("fcan-paper")
    model = models.FCAN(tiny.backbone(), 3, image_size=64, taps=(8, 8))
    localizer = recipe.stages[1]
    assert (localizer.optimizer, localizer.learning_rate) == ("rmsprop", 0.01)
    assert (localizer.batch_size, model.num_samples) == (512, 16)
    assert (recipe.load_size, recipe.image_size) == (512, 512)
    assert recipe.arguments == {"crop_size": 448, "part_sizes": (4, 8)}
    # What the paper does not use is off by default.
    assert (model.reward, model.condition) == ("greedy", True)
    assert (model.moving_baseline, model.entropy_weight) == (False, 0.0)


def test_daf_paper_holds_sections_3_7_and_4_2():
    recipe = recipes.get("daf-paper")
    (stage,) = recipe.stages
    assert (stage.optimizer, stage.learning_rate) == ("sgd", 0.01)
    assert (stage.step_epochs, stage.step_factor) == (50, 0.5)
    assert (stage.weight_decay, recipe.image_size) == (1e-4, 448)
    model = models.DAF(tiny.backbone(), 3, **PLACES["DAF"], **recipe.arguments)
    assert (model.num_parts, model.parts_per_object) == (3, 4.0)
    assert (model.iou_threshold, model.batch_norm) == (0.25, "train")
    assert (model.fusion, model.overlap_moves) == ("learned", "corners")
    assert recipes.get("daf-short").arguments == {}
