"""`explain`: a picture of what a model saw on images."""

from keras_fgvc import training
from keras_fgvc.cli.image_names import read_names
from keras_fgvc.cli.messages import complain


def run(options) -> int:
    """Writes the picture; 1 if an image could not be read."""
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
