"""`report`: figures, explanations, curves and confusions on one page."""

from keras_fgvc import training


def run(options) -> int:
    """Writes WORKDIR/report.html and its pictures, WORKDIR/report/*.png."""
    path = training.open_run(options.workdir).report(
        options.split,
        name_or_path=options.data,
        data_dir=options.data_dir,
        batch_size=options.batch_size,
        unfinished=options.unfinished,
        num_images=options.num_images,
        num_mistakes=options.num_mistakes,
        num_pairs=options.num_pairs,
    )
    print(f"pictures: {path.with_suffix('')}\nreport: {path}")
    return 0
