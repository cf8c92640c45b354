"""`export`: a trained model as files that other programs run."""

from keras_fgvc import training
from keras_fgvc.cli.messages import UsageError


def run(options) -> int:
    """Writes the model and prints where."""
    settings = {}
    if options.top is not None:
        if options.format != "savedmodel":
            raise UsageError("--top is for --format savedmodel alone.")
        settings["num_top"] = options.top
    path = training.open_run(options.workdir).export(
        options.out,
        options.format,
        unfinished=options.unfinished,
        **settings,
    )
    print(f"{options.format}: {path}")
    return 0
