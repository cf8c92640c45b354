"""Refuses wrong options of `train` before any image is read."""

import pathlib

import keras

from keras_fgvc import recipes
from keras_fgvc.backbones import registry
from keras_fgvc.backbones.presets import is_preset
from keras_fgvc.cli.messages import UsageError
from keras_fgvc.models.registry import get_method
from keras_fgvc.training.claims import check_settings


def recipe_of(method):
    """Name of the recipe that `--method` stands for."""
    short = [n for n in recipes.available() if n.endswith("-short")]
    if f"{method}-short" not in short:
        names = ", ".join(name.removesuffix("-short") for name in short)
        raise UsageError(
            f"--method must be one of {names}, or of yours with --register. "
            f"Received: {method}."
        )
    return f"{method}-short"


def check(recipe, options):
    """Raises before any image is read."""
    names = [stage.name for stage in recipe.stages]
    # The model, which may have fewer, tells later.
    check_stages("--stages", options.stages, names)
    wanted = options.stages or names
    if options.evaluate_after != ["all"]:
        check_stages("--evaluate-after", options.evaluate_after, wanted)
    if options.evaluate_after and options.no_test:
        raise UsageError(
            "--evaluate-after uses the test split: omit --no-test."
        )
    if options.tune_threshold:
        _check_threshold(recipe, wanted)
    weights = options.weights
    is_word = weights in ("imagenet", "none")
    if not is_word and not pathlib.Path(weights).is_file():
        raise UsageError(
            '--weights must be "imagenet", "none" or a file that exists. '
            f"Received: {weights}."
        )
    facts = {
        "seed": options.seed,
        "precision": keras.config.dtype_policy().name,
    }
    try:
        if not is_preset(options.backbone):
            registry.find(options.backbone)
        check_settings(options.workdir, recipe, **facts)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_threshold(recipe, wanted):
    stage = get_method(recipe.method).threshold_stage
    if stage is None:
        raise UsageError(
            f"{recipe.method} has no threshold: omit --tune-threshold."
        )
    if stage not in wanted:
        raise UsageError(f"--tune-threshold needs {stage} among --stages.")


def check_stages(flag, wanted, known):
    """Raises if an option names a stage that there is not."""
    for name in wanted or ():
        if name not in known:
            raise UsageError(
                f"{flag} must be of {', '.join(dict.fromkeys(known))}. "
                f"Received: {name}."
            )
