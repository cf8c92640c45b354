"""`evaluate`: the figures of a trained model on a split."""

import contextlib
import sys

SUMMARY = "evaluate a trained model on a split"
EXAMPLE = "  keras-fgvc evaluate --workdir runs/birds --split validation"


def add_options(add):
    """Adds the options of this command."""
    add.workdir()
    add.data()
    add.split()
    add.batch_size()
    add.json()
    add.unfinished()


def run(options) -> int:
    """Prints a table, or one JSON object; progress goes to standard error."""
    from keras_fgvc._files import to_json

    with contextlib.redirect_stdout(sys.stderr):
        figures = _evaluate(options)
    if options.json:
        print(to_json({"split": options.split, **figures.as_dict()}))
        return 0
    for name, value in _rows(figures, options.split):
        print(f"{name:<44} {value}")
    return 0


def _evaluate(options):
    from keras_fgvc import training

    return training.open_run(options.workdir).evaluate(
        options.split,
        name_or_path=options.data,
        data_dir=options.data_dir,
        verify=options.verify,
        batch_size=options.batch_size,
        verbose=int(sys.stderr.isatty()),
        unfinished=options.unfinished,
    )


def _rows(figures, split):
    yield "split", f"{split}, {figures.images} images"
    yield "top-1", _percent(figures.top1)
    yield "top-5", _percent(figures.top5)
    yield "mean per class", _percent(figures.mean_per_class)
    yield "macro F1", _percent(figures.macro_f1)
    likelihood = f"{figures.negative_log_likelihood:7.3f}"
    yield "negative log likelihood", likelihood
    yield "calibration error", _percent(figures.calibration_error)
    for name, share in figures.all_localization.items():
        yield f"IoU >= 0.5 by {name}", _percent(share)


def _percent(share):
    return f"{100 * share:7.2f} %"
