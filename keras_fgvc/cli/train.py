"""`train`: a recipe's stages one after another, then the test split."""

import json
import pathlib
import sys

import keras

from keras_fgvc import data, evaluation, training
from keras_fgvc._files import move_into_place
from keras_fgvc.cli.messages import UsageError
from keras_fgvc.cli.recipe_options import make_recipe

WHOLE_IMAGE = 0.95  # of its area
MANY = 0.5  # of the boxes
SILENT, BAR, LINE_AN_EPOCH = 0, 1, 2  # what `verbose` of Keras means


def run(options) -> int:
    """Trains; the same options again go on with what was interrupted."""
    options.recipe = options.recipe or f"{options.method}-short"
    recipe = make_recipe(options)
    # Before any image is read; the model, which may have fewer, tells later.
    _check_stages(options.stages, [stage.name for stage in recipe.stages])
    policy = keras.config.dtype_policy()
    if options.precision:
        keras.config.set_dtype_policy(options.precision)
    try:
        return _run(recipe, options)
    finally:
        keras.config.set_dtype_policy(policy)


def _run(recipe, options):
    strategy = training.make_strategy(options.strategy, tpu=options.tpu)
    is_chief = training.is_chief(strategy)
    keras.utils.set_random_seed(options.seed)
    images = data.open_dataset(
        options.data,
        data_dir=options.data_dir,
        seed=options.seed if options.data_seed is None else options.data_seed,
        on_error=options.on_error,
        verify=options.verify,
    )
    if is_chief:
        print(images.summary(), flush=True)
    with strategy.scope():
        model = training.build_model(
            recipe,
            options.backbone,
            images.num_classes,
            weights=options.weights,
        )
    finished = _train(model, recipe, images, options, is_chief)
    if is_chief and not options.no_test:
        _test(model, recipe, images, options, finished)
    return 0


def _train(model, recipe, images, options, is_chief):
    """Runs the stages; returns whether the last one was among them."""
    numbered = _chosen_stages(model, recipe, options.stages)
    for count, (number, stage) in enumerate(numbered, start=1):
        if is_chief and not options.quiet:
            print(
                f"\nstage {count} of {len(numbered)}: {stage.name}, "
                f"{stage.epochs} epochs",
                flush=True,
            )
        try:
            training.fit(
                model,
                recipe,
                images,
                options.workdir,
                seed=options.seed,
                stages=[number],
                verbose=_verbose(options.quiet),
            )
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                "The same command goes on after the last finished epoch."
            ) from stop
    return numbered[-1][1] is _usable_stages(model, recipe)[-1][1]


def _usable_stages(model, recipe):
    """Pairs (number, stage) of the recipe's stages that the model has."""
    numbered = enumerate(recipe.stages, start=1)
    return [pair for pair in numbered if pair[1].name in model.stages]


def _chosen_stages(model, recipe, wanted):
    usable = _usable_stages(model, recipe)
    known = [stage.name for _, stage in usable]
    _check_stages(wanted, known)
    return [pair for pair in usable if not wanted or pair[1].name in wanted]


def _check_stages(wanted, known):
    for name in wanted or ():
        if name not in known:
            raise UsageError(
                f"--stages must be of {', '.join(dict.fromkeys(known))}. "
                f"Received: {name}."
            )


def _verbose(quiet):
    if quiet:
        return SILENT
    return BAR if sys.stdout.isatty() else LINE_AN_EPOCH


def _test(model, recipe, images, options, finished):
    """Prints the test split's figures and keeps them in the folder."""
    if "test" not in images.splits:
        print(f"{images.name} has no test split.")
        return
    if not finished:
        print("The test split waits for the last stage.")
        return
    found = evaluation.predict(
        model,
        images,
        image_size=recipe.load_size,
        verbose=_verbose(options.quiet),
    )
    figures = evaluation.evaluate_predictions(found)
    workdir = pathlib.Path(options.workdir)
    found.save(workdir / "predictions-test.npz")
    results = {model.stage: figures.as_dict()}
    text = json.dumps(results, indent=1) + "\n"
    move_into_place(workdir / "test.json", lambda p: p.write_text(text))
    _note_whole_images(found.boxes.get("boxes"))
    print(f"test: {figures}")


def _note_whole_images(boxes):
    """Crops to the whole image are no crops: says so, and what to do."""
    if boxes is None:
        return
    heights, widths = (boxes[:, 2:] - boxes[:, :2]).T
    share = (heights * widths >= WHOLE_IMAGE).mean()
    if share > MANY:
        print(
            f"note: {100 * share:.0f} % of the boxes are the whole image. "
            "Choose another threshold (--arguments threshold=0.5) or train "
            "longer, in a new --workdir; see docs/troubleshooting.md."
        )
