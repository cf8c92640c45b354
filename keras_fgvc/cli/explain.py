"""`explain`: a picture of what a model saw on images."""

SUMMARY = "draw what a trained model saw on photographs"
EXAMPLE = (
    "  keras-fgvc explain --workdir runs/birds --out seen.png photographs/"
)


def add_options(add):
    """Adds the options of this command."""
    add.workdir()
    add.option("--out", "picture to write", required=True)
    add.images()
    add.number("--top", "how many classes to name", 3)
    add.unfinished()


def run(options) -> int:
    """Writes the picture; 1 if an image could not be read."""
    from keras_fgvc import training
    from keras_fgvc.cli.image_names import read_names
    from keras_fgvc.cli.messages import complain

    failed = training.open_run(options.workdir).explain(
        read_names(options.images),
        options.out,
        num_top=options.top,
        unfinished=options.unfinished,
    )
    for path, error in failed:
        complain(f"{path} {error}")
    print(f"picture: {options.out}")
    return 1 if failed else 0
