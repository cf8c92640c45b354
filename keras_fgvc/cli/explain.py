"""`explain`: a picture of what a model saw on images."""

import functools

import numpy as np

from keras_fgvc import training, visualization
from keras_fgvc.cli.images import find_images, read_batches, read_pixels
from keras_fgvc.cli.messages import UsageError, complain

MAX_IMAGES = 60  # in one picture, a row each; it is then some 12,000 pixels


def run(options) -> int:
    """Writes the picture; 1 if an image could not be read."""
    paths = find_images(options.images)
    if len(paths) > MAX_IMAGES:
        raise UsageError(
            f"One picture shows at most {MAX_IMAGES} images. "
            f"Received: {len(paths)}."
        )
    trained = training.open_run(options.workdir)
    model = trained.load_model()
    size = trained.recipe.load_size
    read = functools.partial(read_pixels, size=size)
    pixels, failed = [], 0
    for batch in read_batches(paths, read, MAX_IMAGES):
        for image in batch:
            if image.error is None:
                pixels.append(image.content)
            else:
                failed += 1
                complain(f"{image.path} {image.error}")
    if not pixels:
        raise ValueError("there is no image to explain.")
    found = visualization.explain(
        model,
        np.stack(pixels),
        class_names=trained.class_names,
        num_top=options.top,
    )
    visualization.save_explanations(options.out, pixels, found)
    print(f"picture: {options.out}")
    return 1 if failed else 0
