"""`train`: a recipe's stages one after another, then the test split."""

import datetime
import pathlib
import shlex
import sys
import textwrap

SUMMARY = "train a method by its recipe, or go on with it"
EXAMPLE = """  keras-fgvc train --method elope --data photographs \\
      --backbone resnet50 --workdir runs/birds

After an interruption the same command goes on after the last finished
epoch. With more --epochs for the last finished stage it trains that
stage longer. The test split is used once, at the end, unless
--evaluate-after names stages."""
METHODS = ("baseline", "elope", "painless", "coarse2fine", "fcan", "daf")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES = ("none", "mirrored", "multiworker", "tpu")
WIDTH = 80  # columns
WHOLE_IMAGE = 0.95  # of its area
MANY = 0.5  # of the boxes
SILENT, BAR, LINE_AN_EPOCH = 0, 1, 2  # what `verbose` of Keras means


def add_options(add):
    """Adds the options of this command."""
    add.option(
        "--data", "folder, .csv file or name of a data set", required=True
    )
    add.data_dir()
    add.option("--workdir", "folder for all that is written", required=True)
    recipe = add.one_of()
    recipe.option("--method", f"by METHOD-short: {', '.join(METHODS)}, yours")
    recipe.option("--recipe", "another recipe, as elope-paper")
    _add_network(add.group("network"))
    _add_budget(add.group("budget (default: that of the recipe)"))
    _add_run(add.group("run"))


def _add_network(add):
    text = "such as mobilenet_v2 or inception_v3"
    add.option("--backbone", text, default="resnet50")
    text = '"imagenet", "none" for random ones, or a file'
    add.option("--weights", text, default="imagenet")
    add.flag("--baseline", "the plain network by the same recipe")
    text = "more for the method, as k=1,localize=false"
    add.option("--arguments", text, default="")
    add.number("--image-size", "side that the backbone sees, in pixels")
    text = "side at which images are loaded, in pixels (default: in proportion)"
    add.number("--load-size", text)
    add.resize()


def _add_budget(add):
    text = "of all stages, as 5, or of some, as classifier=8,crops=4"
    add.list("--epochs", text)
    add.number("--batch-size", "images per step")
    add.list("--batch-sizes", "of stages, as localizer=64")
    add.list("--learning-rate", "of all, or as crops=1e-5")
    add.list(
        "--set",
        "more of stages, as crops.momentum=0.8,crops.augmentation.rotation=15",
        between=r",(?=[^,=]*=)",  # not the comma in random_crop=0.5,1
    )
    add.number("--rounds", "how often to go through the stages", 1)
    add.list("--stages", "names of those to run (default: all)")
    text = (
        "choose the heat map's threshold by the boxes of the validation split"
    )
    add.flag("--tune-threshold", text)


def _add_run(add):
    add.number("--seed", "of weights, order, augmentation", 0, minimum=0)
    add.number("--data-seed", "of splits (default: --seed)", minimum=0)
    add.option("--precision", "of the computation", choices=PRECISIONS)
    add.choice("--strategy", "devices to train on", *STRATEGIES)
    add.option("--tpu", "its name", default="local")
    add.choice("--on-error", "what broken images do", "raise", "skip")
    add.verify()
    text = "stages after which the test split is evaluated too, or all"
    add.list("--evaluate-after", text)
    add.flag("--no-test", "do not use the test split")
    add.flag("--quiet", "show no progress, results only")


def run(options) -> int:
    """Trains; the same options again go on with what was interrupted."""
    import keras

    from keras_fgvc.cli.recipe_options import make_recipe
    from keras_fgvc.cli.train_checks import check, recipe_of

    options.recipe = options.recipe or recipe_of(options.method)
    recipe = make_recipe(options)
    policy = keras.config.dtype_policy()
    if options.precision:
        keras.config.set_dtype_policy(options.precision)
    try:
        check(recipe, options)
        return _run(recipe, options)
    finally:
        keras.config.set_dtype_policy(policy)


def _run(recipe, options):
    from keras_fgvc import training
    from keras_fgvc.training import lock

    strategy = training.make_strategy(options.strategy, tpu=options.tpu)
    is_chief = training.is_chief(strategy)
    # From before the images are read until the figures are written.
    with lock.held(options.workdir, is_chief):
        return _run_alone(recipe, options, strategy, is_chief)


def _run_alone(recipe, options, strategy, is_chief):
    import keras

    from keras_fgvc import data, training

    keras.utils.set_random_seed(options.seed)
    images = data.open_dataset(
        options.data,
        data_dir=options.data_dir,
        seed=options.seed if options.data_seed is None else options.data_seed,
        on_error=options.on_error,
        verify=options.verify,
    )
    images = images.resized(recipe.resize)
    if is_chief:
        print(images.summary(), flush=True)
    with strategy.scope():
        model = training.build_model(
            recipe,
            options.backbone,
            images.num_classes,
            weights=None if options.weights == "none" else options.weights,
        )
    if is_chief:
        begins = _origin(model.initial_weights)
        print(f"backbone {options.backbone} begins with {begins}", flush=True)
    _train(model, recipe, images, options, is_chief)
    return 0


def _origin(initial_weights):
    """Words for what `training.build_model` noted."""
    known = {"random": "random weights", "imagenet": "ImageNet weights"}
    return known.get(initial_weights, f"the weights of {initial_weights}")


def _train(model, recipe, images, options, is_chief):
    """Runs the stages, and evaluates after those that are asked for."""
    from keras_fgvc import training
    from keras_fgvc.training.progress import tell_stage

    numbered = _chosen_stages(model, recipe, options.stages)
    last = _chosen_stages(model, recipe, None)[-1][0]
    after = options.evaluate_after or []
    for count, (number, stage) in enumerate(numbered, start=1):
        if is_chief and not options.quiet:
            tell_stage(count, len(numbered), stage)
        try:
            training.fit(
                model,
                recipe,
                images,
                options.workdir,
                seed=options.seed,
                stages=[number],
                tune_threshold=options.tune_threshold,
                verbose=_verbose(options.quiet),
            )
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                "The same command goes on after the last finished epoch."
            ) from stop
        asked = stage.name in after or after == ["all"]
        if is_chief and not options.no_test and (asked or number == last):
            _test(model, recipe, images, options, number)
    if not is_chief:
        return
    _note_command(options)
    if number == last:
        _tell_what_is_next(options)
    elif not asked and not options.no_test:
        print("The test split waits for the last stage.")


def _note_command(options):
    """Writes what made the run, for its report."""
    from keras_fgvc._files import write_json
    from keras_fgvc._version import __version__
    from keras_fgvc.training.reporting import MADE_BY

    made_by = {
        "command": shlex.join(["keras-fgvc", *getattr(options, "words", [])]),
        "version": __version__,
        "date": datetime.date.today().isoformat(),
    }
    write_json(pathlib.Path(options.workdir) / MADE_BY, made_by)


def _tell_what_is_next(options):
    """Prints where the model is, and commands that use it."""
    shared = ["--workdir", options.workdir]
    if options.register:
        shared += ["--register", options.register]
    served = str(pathlib.Path(options.workdir) / "served" / "1")
    print(f"\nmodel: {pathlib.Path(options.workdir) / 'model.keras'}\nnext:")
    for command, more in (
        ("evaluate", ""),
        ("report", ""),
        ("predict", " PHOTOGRAPHS"),
        ("export", f" --out {shlex.quote(served)}"),
    ):
        print(f"  {shlex.join(['keras-fgvc', command, *shared])}{more}")


def _chosen_stages(model, recipe, wanted):
    """Pairs (number, stage) of those to run."""
    from keras_fgvc.cli.train_checks import check_stages
    from keras_fgvc.training.stages import chosen_stages

    usable = chosen_stages(model, recipe, None)
    check_stages("--stages", wanted, [stage.name for _, stage in usable])
    return [pair for pair in usable if not wanted or pair[1].name in wanted]


def _verbose(quiet):
    if quiet:
        return SILENT
    return BAR if sys.stdout.isatty() else LINE_AN_EPOCH


def _test(model, recipe, images, options, number):
    """Prints the test split's figures and keeps them in the folder."""
    from keras_fgvc import evaluation, training
    from keras_fgvc._files import read_json, write_json
    from keras_fgvc.models.declaration import meanings_of, object_box

    if "test" not in images.splits:
        print(f"{images.name} has no test split.")
        return
    found = evaluation.predict(
        model,
        images,
        load_size=recipe.load_size,
        verbose=_verbose(options.quiet),
    )
    figures = evaluation.evaluate_predictions(found)
    workdir = pathlib.Path(options.workdir)
    if number == max(training.open_run(workdir).finished_stages()):
        # Those of the model that lies there, which may be of a later stage.
        found.save(workdir / "predictions-test.npz")
    path = workdir / "test.json"
    results = {}
    if path.exists():
        remedy = "Remove it; the next run of the command writes it anew."
        results = read_json(path, dict, remedy)
    results[model.stage] = figures.as_dict()
    write_json(path, results)
    _note_whole_images(found.boxes.get(object_box(meanings_of(model))))
    after = f" after {model.stage}" if options.evaluate_after else ""
    text = f"test{after}: {figures}"
    print(textwrap.fill(text, WIDTH, subsequent_indent="  "), flush=True)


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
