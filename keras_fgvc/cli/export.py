"""`export`: a trained model as files that other programs run."""

from keras_fgvc import export, training
from keras_fgvc.cli.messages import UsageError

NUM_TOP = 5


def run(options) -> int:
    """Writes the model and prints where."""
    settings = {}
    if options.format == "savedmodel":
        write = export.export_saved_model
        settings["num_top"] = options.top or NUM_TOP
    elif options.top is not None:
        raise UsageError("--top is for --format savedmodel alone.")
    else:
        write = {"onnx": export.export_onnx, "litert": export.export_litert}
        write = write[options.format]
    trained = training.open_run(options.workdir)
    path = write(
        trained.load_model(),
        options.out,
        class_names=trained.class_names,
        image_size=trained.recipe.load_size,
        **settings,
    )
    print(f"{options.format}: {path}")
    return 0
