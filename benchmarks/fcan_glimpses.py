"""Where FCAN's glimpse looks, by what judges it and how fast it learns.

    python benchmarks/fcan_glimpses.py --data=FOLDER --weights=FILE --workdir=W

A frozen MobileNetV2, images of 320 pixels, nine crops of half the side, each
shown at 160 pixels. The localiser trains on training images; linear
classifiers on the features of the crop that was chosen, and on those of the
whole image, are tested on validation images, which nothing else has seen. The
test split is not touched. FOLDER needs boxes for the column "on the object".
"""

import dataclasses
import pathlib

import keras
import numpy as np
from absl import app, flags

from keras_fgvc import data, models, training
from keras_fgvc.data import Precomputed
from keras_fgvc.models.fcan import caches, crop_judges
from keras_fgvc.recipes import Stage

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder of photographs.", required=True)
flags.DEFINE_string("weights", None, "Of MobileNetV2.", required=True)
flags.DEFINE_string("workdir", "runs/glimpses", "Where caches go.")
flags.DEFINE_integer("epochs", 6, "Of the localiser.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Of policy and classifiers.")
flags.DEFINE_list("rows", [], "Numbers of rows to run, all by default.")
SIZE, CROP = 320, 160
STAGE = Stage(
    "localizer",
    epochs=6,
    learning_rate=1e-3,
    optimizer="adam",
    schedule="cosine",
    batch_size=64,
)
RAW = {"standardize": False}
CROPS = {"judge": "crops", "num_samples": None}
SLOW = {"focus_rate": 0.1}
PAPER = {"learning_rate": 0.01, "optimizer": "rmsprop", "schedule": "constant"}
ROWS = {
    "map, raw, Adam 1e-3": (RAW, {}),
    "map, raw, Adam 1e-4": (RAW, SLOW),
    "map, Adam 1e-3": ({}, {}),
    "map, RMSProp 0.01": ({}, PAPER),
    "crops, raw, Adam 1e-3": ({**RAW, **CROPS}, {}),
    "crops, raw, Adam 1e-4": ({**RAW, **CROPS}, SLOW),
    "crops, Adam 1e-3": (CROPS, {}),
    "crops, Adam 1e-3, 5 judges": ({**CROPS, "folds": 5}, {}),
    "crops, Adam 1e-3, 1 judge": ({**CROPS, "folds": 1}, {}),
}
SPLITS = ("train", "validation")


def make_model(images, seed, arguments):
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = models.FCAN(
        "mobilenet_v2",
        images.num_classes,
        image_size=SIZE,
        crop_size=CROP,
        part_sizes=(5,),
        places=3,
        weights=FLAGS.weights,
        seed=seed,
        **arguments,
    )
    model.begin_stage("localizer")
    return model


def look(images, seed, arguments, changes):
    """Trains a policy; its entropy by epoch, and the places by split."""
    model = make_model(images, seed, arguments)
    stage = dataclasses.replace(STAGE, epochs=FLAGS.epochs, **changes)
    options = {"folder": pathlib.Path(FLAGS.workdir), "load_size": SIZE}
    phase = model.begin_stage("localizer")
    task, maps = phase.data(model, stage, images, **options)
    steps = maps.split_sizes["train"] // stage.batch_size
    task.compile(training.make_optimizer(stage, steps, model))
    batches = maps.batches(
        "train",
        batch_size=stage.batch_size,
        training=True,
        seed=seed,
        epochs=range(stage.epochs),
    )
    history = task.fit(
        batches,
        epochs=stage.epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    ).history
    chosen = caches.part_boxes(model, images, **options)
    places = crop_judges.place_boxes(model)[0]
    return history["entropy"], {
        split: np.abs(boxes - places).sum(axis=-1).argmin(axis=1)
        for split, boxes in chosen.items()
    }


def cached_features(images):
    """Of the whole images and of the nine crops, by split; and the places."""
    model = make_model(images, 0, CROPS)
    folder = pathlib.Path(FLAGS.workdir)
    crops = caches.judged_maps(model, images, folder, SIZE).crops
    image = keras.Input((None, None, 3))
    network = model.classifiers[0]
    small = keras.layers.Resizing(CROP, CROP)(image)
    pooled = keras.Model(network.input, network.layers[-2].output)(small)
    whole = Precomputed(
        images,
        folder / "whole",
        compute=keras.Model(image, pooled).predict_on_batch,
        fingerprint=caches.fingerprint(network, CROP),
        load_size=SIZE,
    )
    return (
        {split: whole.arrays(split) for split in SPLITS},
        {split: crops.arrays(split)[:, 0] for split in SPLITS},
        crop_judges.place_boxes(model)[0],
    )


def classify(features, labels, seed):
    """Probabilities of validation images by a linear classifier."""
    keras.utils.set_random_seed(seed)
    mean, spread = features["train"].mean(0), features["train"].std(0) + 1e-3
    scaled = {split: (features[split] - mean) / spread for split in SPLITS}
    model = keras.Sequential(
        [
            keras.Input(scaled["train"].shape[1:]),
            keras.layers.Dense(int(labels["train"].max()) + 1, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(scaled["train"], labels["train"], 256, 40, verbose=0)
    return model.predict(scaled["validation"], verbose=0)


def on_object(places, boxes):
    """Share of each window that lies on the object, `(n, places)`."""
    low = np.maximum(places[None, :, :2], boxes[:, None, :2])
    high = np.minimum(places[None, :, 2:], boxes[:, None, 2:])
    return np.clip(high - low, 0, None).prod(axis=-1) / 0.25


def main(_):
    images = data.open_dataset(FLAGS.data)
    labels = {split: images.subset(split).labels for split in SPLITS}
    whole, crops, places = cached_features(images)
    boxes = {split: images.subset(split).boxes for split in SPLITS}
    shares = {split: on_object(places, boxes[split]) for split in SPLITS}
    seeds = [int(seed) for seed in FLAGS.seeds]
    wholes = [classify(whole, labels, seed) for seed in seeds]

    def report(name, chosen, entropy=""):
        right, both, share = [], [], []
        for seed, place, of_whole in zip(seeds, chosen, wholes, strict=True):
            rows = {s: np.arange(len(place[s])) for s in SPLITS}
            seen = {s: crops[s][rows[s], place[s]] for s in SPLITS}
            found = classify(seen, labels, seed)
            right.append(accuracy(found, labels))
            both.append(accuracy(found + of_whole, labels))
            at = rows["validation"], place["validation"]
            share.append(shares["validation"][at].mean())
        cells = [entropy, f"{np.mean(share):.2f}"]
        cells += [f"{np.mean(n):.1f} ({np.std(n):.1f})" for n in (right, both)]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)

    alone = np.mean([accuracy(each, labels) for each in wholes])
    print(f"whole image alone: {alone:.1f} %")
    print("| regions | entropy by epoch | on object | alone | with whole |")
    print("|---" * 5, "|", sep="")
    for name, choose in controls(shares).items():
        report(name, [choose(seed) for seed in seeds])
    for number, (name, row) in enumerate(ROWS.items()):
        if FLAGS.rows and str(number) not in FLAGS.rows:
            continue
        entropies, chosen = zip(
            *(look(images, seed, *row) for seed in seeds), strict=True
        )
        mean = np.mean(entropies, axis=0)
        report(name, chosen, ", ".join(f"{value:.2f}" for value in mean))


def controls(shares):
    """From the name to a function of a seed to the places by split."""
    counts = {split: len(values) for split, values in shares.items()}
    return {
        "middle": lambda _: {s: np.full(n, 4) for s, n in counts.items()},
        "random": lambda seed: {
            s: np.random.default_rng(seed).integers(0, 9, n)
            for s, n in counts.items()
        },
        "most on the object": lambda _: {
            s: values.argmax(axis=1) for s, values in shares.items()
        },
    }


def accuracy(probabilities, labels):
    return 100 * np.mean(probabilities.argmax(axis=1) == labels["validation"])


if __name__ == "__main__":
    app.run(main)
