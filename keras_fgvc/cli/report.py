"""`report`: figures, explanations, curves and confusions on one page."""

import shlex

SUMMARY = "write a page about a training: curves, figures, mistakes"
EXAMPLE = """  keras-fgvc report --workdir runs/birds

The page is WORKDIR/report.html, its pictures are in WORKDIR/report."""
OPTIONS = (
    *("workdir", "data", "data_dir", "split", "batch_size", "num_images"),
    *("num_mistakes", "num_pairs"),
)


def add_options(add):
    """Adds the options of this command."""
    add.workdir()
    add.data()
    add.split()
    add.batch_size()
    add.number("--num-images", "images to explain", 8)
    add.number("--num-mistakes", "mistakes to explain", 4, minimum=0)
    add.number("--num-pairs", "confused pairs to show", 8)
    add.unfinished()


def run(options) -> int:
    """Writes WORKDIR/report.html and its pictures, WORKDIR/report/*.png."""
    from keras_fgvc import training

    path = training.open_run(options.workdir).report(
        options.split,
        name_or_path=options.data,
        data_dir=options.data_dir,
        verify=options.verify,
        batch_size=options.batch_size,
        unfinished=options.unfinished,
        num_images=options.num_images,
        num_mistakes=options.num_mistakes,
        num_pairs=options.num_pairs,
        command=_command(options),
    )
    print(f"pictures: {path.with_suffix('')}\nreport: {path}")
    return 0


def _command(options):
    """The command that writes this report again."""
    given = {name: getattr(options, name, None) for name in OPTIONS}
    words = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in given.items()
        if value is not None
    ]
    return shlex.join(["keras-fgvc", "report", *words])
