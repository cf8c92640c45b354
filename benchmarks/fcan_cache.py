"""What FCAN's cache saves, and what choosing regions costs in a prediction.

    python benchmarks/fcan_cache.py
    python benchmarks/fcan_cache.py --backbone=vgg16 --image_size=256 \
        --crop_size=256 --tap=16

Random images, random weights: only time is of interest. One epoch of the
localiser's training on maps read from the cache against one that computes
each map again, in turn in one process; then, of one prediction: the glimpses
on a map that is there, their network's map as well, and the whole. Quote the
ratios.
"""

import pathlib
import tempfile

import keras
import numpy as np
import results
from absl import app, flags
from in_turn import median_seconds

from keras_fgvc import data, models, recipes
from keras_fgvc.models.fcan import tasks

FLAGS = flags.FLAGS
flags.DEFINE_string("backbone", "mobilenet_v2", "See backbones.available().")
flags.DEFINE_integer("image_size", 448, "Side at which places are scored.")
flags.DEFINE_integer("crop_size", 224, "Side that the networks see.")
flags.DEFINE_integer("tap", 32, "Stride of the map that is scored.")
flags.DEFINE_list("part_sizes", ["4", "7"], "Cells.")
flags.DEFINE_integer("classes", 50, "Number of classes.")
flags.DEFINE_integer("images", 64, "In an epoch.")
flags.DEFINE_integer("batch_size", 16, "Images a step.")
flags.DEFINE_integer("rounds", 5, "Rounds to take medians over.")


def make_images():
    rng = np.random.default_rng(0)
    size, count = FLAGS.image_size, FLAGS.images
    labels = rng.integers(0, FLAGS.classes, count).astype("int32")
    images = rng.integers(0, 256, (count, size, size, 3), "uint8")
    examples = data.Examples(labels=labels, images=images)
    names = tuple(f"class {n}" for n in range(FLAGS.classes))
    splits = {"train": examples, "validation": examples.take([0])}
    return data.LabeledImages("noise", names, splits)


def epochs(model, images, folder):
    """One epoch of the localiser, with its cache and without."""
    stage = recipes.get("fcan-short").stages[1]
    size, batch = FLAGS.image_size, FLAGS.batch_size
    phase = model.begin_stage(stage.name)
    task, maps = phase.data(model, stage, images, folder=folder, load_size=size)
    task.compile(keras.optimizers.RMSprop(1e-3))
    extractor = tasks.map_extractor(model)

    def cached():
        for inputs, labels in maps.batches(
            "train", batch_size=batch, training=True
        ):
            task.train_on_batch(inputs, labels)

    def computed():
        for pixels, labels in images.batches(
            "train", load_size=size, batch_size=batch, training=True
        ):
            task.train_on_batch(extractor.predict_on_batch(pixels), labels)

    return {"from the cache": cached, "computed again": computed}


def predictions(model, images):
    """The parts of one prediction."""
    size, batch = FLAGS.image_size, FLAGS.batch_size
    batches = images.batches("train", load_size=size, batch_size=batch)
    pixels, _ = next(batches.as_numpy_iterator())
    extractor = tasks.map_extractor(model)
    finder = tasks.region_finder(model)
    maps = extractor.predict_on_batch(pixels)
    return {
        "glimpses on a map": lambda: finder.predict_on_batch(maps),
        "the map": lambda: extractor.predict_on_batch(pixels),
        "whole prediction": lambda: model.predict_on_batch(pixels),
    }


def main(_):
    part_sizes = tuple(int(size) for size in FLAGS.part_sizes)
    model = models.FCAN(
        FLAGS.backbone,
        FLAGS.classes,
        image_size=FLAGS.image_size,
        crop_size=FLAGS.crop_size,
        part_sizes=part_sizes,
        taps=(FLAGS.tap, 32),
        weights=None,
    )
    images = make_images()
    with tempfile.TemporaryDirectory() as folder:
        found = median_seconds(
            epochs(model, images, pathlib.Path(folder)), FLAGS.rounds
        )
    print(
        "\n| an epoch of the localiser | s | epochs a minute |\n|---|---|---|"
    )
    for name, seconds in found.items():
        print(f"| {name} | {seconds:.2f} | {60 / seconds:.1f} |")
    cached, computed = found.values()
    print(f"computed again / from the cache: {computed / cached:.1f}\n")
    found = median_seconds(predictions(model, images), FLAGS.rounds)
    whole = found["whole prediction"]
    print("| of a prediction | share |\n|---|---|")
    for name, seconds in found.items():
        print(f"| {name} | {100 * seconds / whole:.1f} % |")


if __name__ == "__main__":
    app.run(results.kept(main))
