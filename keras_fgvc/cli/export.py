"""`export`: a trained model as files that other programs run."""

SUMMARY = "write a trained model for serving"
EXAMPLE = (
    "  keras-fgvc export --workdir runs/birds --out served/birds/1\n"
    "  keras-fgvc export --workdir runs/birds --out birds.onnx --format onnx"
)


def add_options(add):
    """Adds the options of this command."""
    add.workdir()
    text = "folder or file to write; it must not exist"
    add.option("--out", text, required=True)
    add.choice("--format", "what to write", "savedmodel", "onnx", "litert")
    add.number("--top", "how many classes a SavedModel names (default: 5)")
    add.unfinished()


def run(options) -> int:
    """Writes the model and prints where."""
    from keras_fgvc import training
    from keras_fgvc.cli.messages import UsageError

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
