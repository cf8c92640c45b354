"""A finished run and some of its test images, for tables and pictures."""

import pathlib

import numpy as np
from absl import flags

from keras_fgvc import evaluation, training, visualization

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Of the training.", required=True)
flags.DEFINE_string("data", None, "Where its data lie, if they were moved.")
flags.DEFINE_string("data_dir", None, "See data.open_dataset.")
flags.DEFINE_integer("seed", 0, "Of random regions.")


def open_finished():
    """The run of --workdir, its model and its data."""
    run = training.open_run(FLAGS.workdir)
    images = run.open_data(FLAGS.data, data_dir=FLAGS.data_dir)
    return run, run.load_model(), images


def collect(run, model, images, read):
    """Returns what a function of pixels and outputs reads per batch."""
    found = []
    evaluation.predict(
        model,
        images,
        load_size=run.recipe.load_size,
        on_batch=lambda pixels, outputs: found.append(read(pixels, outputs)),
    )
    return found


def save_cells(name, cells, columns):
    """Draws cells (picture, title, heat map, boxes) as a grid in --workdir."""
    pictures, titles, maps, boxes = zip(*cells, strict=True)
    path = pathlib.Path(FLAGS.workdir) / name
    visualization.save_grid(
        path,
        pictures,
        titles=titles,
        heatmaps=maps,
        boxes=boxes,
        columns=columns,
    )
    print(f"picture: {path}")


def sample_images(images, size, count):
    """Pixels of images from all over the test split."""
    test = images.subset("test")
    places = np.linspace(0, len(test) - 1, min(count, len(test))).astype(int)
    batches = images.batches("test", load_size=size, batch_size=1)
    wanted = set(places.tolist())
    return np.concatenate(
        [
            pixels
            for place, (pixels, _) in enumerate(batches.as_numpy_iterator())
            if place in wanted
        ]
    )
