"""How many photographs a second the input pipeline delivers.

    python benchmarks/pipeline.py --images=FOLDER
    python benchmarks/pipeline.py --images=FOLDER --sizes=224 --count=256

FOLDER holds a folder of JPEGs for each class. In one process, one epoch of
each contender in turn, medians over the rounds: reading and decoding alone,
`keras.utils.image_dataset_from_directory`, and ours streamed without and with
augmentation, read from TFRecords, and kept in memory. Images a second that one
core does, by the process's CPU time, and the ratio to decoding alone.

    python benchmarks/pipeline.py --images=FOLDER --megapixels=12 --sizes=224

enlarges the photographs to 12 megapixels first, as a camera takes them.
"""

import dataclasses
import os
import pathlib
import tempfile
import time

import keras
import results
import tensorflow as tf
from absl import app, flags
from in_turn import median_seconds
from PIL import Image

from keras_fgvc import data
from keras_fgvc.data.sources.records import scan

FLAGS = flags.FLAGS
flags.DEFINE_string("images", None, "Folder of class folders.", required=True)
flags.DEFINE_list("sizes", ["224", "448"], "Sides of the images.")
flags.DEFINE_integer("count", 512, "Images in an epoch.")
flags.DEFINE_integer("batch_size", 32, "Images a batch.")
flags.DEFINE_integer("rounds", 5, "Rounds to take medians over.")
flags.DEFINE_integer("megapixels", 0, "Enlarge to; 0 leaves them as they are.")
TRAINING = data.Augmentation(random_crop=(0.5, 1.0), horizontal_flip=True)


def link_images(folder):
    """The first images of all classes in turn, as links, by class."""
    classes = sorted(p for p in pathlib.Path(FLAGS.images).iterdir())
    files = [sorted(c.glob("*.jpg")) for c in classes if c.is_dir()]
    turns = [f for turn in zip(*files, strict=False) for f in turn]
    if len(turns) < FLAGS.count:
        raise app.UsageError(f"--count={FLAGS.count}: {len(turns)} are found.")
    for file in turns[: FLAGS.count]:
        target = folder / "train" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if FLAGS.megapixels:
            enlarge(file, target)
        else:
            target.symlink_to(file.resolve())


def enlarge(file, target):
    """A JPEG of 4:3 and so many megapixels, as a camera writes it."""
    height = round((FLAGS.megapixels * 1e6 * 3 / 4) ** 0.5 / 16) * 16
    size = (height * 4 // 3, height)
    image = Image.open(file).convert("RGB").resize(size, Image.LANCZOS)
    image.save(target, "JPEG", quality=90)


def decoding_alone(paths):
    """Nothing but reading and decoding, in parallel."""
    return tf.data.Dataset.from_tensor_slices(list(paths)).map(
        lambda path: tf.io.decode_jpeg(tf.io.read_file(path), channels=3),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def as_records(examples, path):
    """The same files within one TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for file in examples.paths:
            content = tf.train.Example()
            encoded = pathlib.Path(file).read_bytes()
            content.features.feature["image"].bytes_list.value.append(encoded)
            writer.write(content.SerializeToString())
    return data.Examples(labels=examples.labels, records=scan([path]))


def contenders(folder, images, records, size):
    options = {"load_size": size, "batch_size": FLAGS.batch_size}
    training = options | {"training": True, "augmentation": TRAINING}
    kept = images.in_memory(round(size / 0.875))
    keras_set = keras.utils.image_dataset_from_directory(
        folder / "train",
        image_size=(size, size),
        batch_size=FLAGS.batch_size,
        verbose=False,
    )
    return {
        "decoding alone": decoding_alone(images.subset("train").paths),
        "image_dataset_from_directory": keras_set.prefetch(tf.data.AUTOTUNE),
        "ours, no augmentation": images.batches("train", **options),
        "ours, crop and flip": images.batches("train", **training),
        "ours, crop and flip, TFRecords": records.batches("train", **training),
        "ours, crop and flip, in memory": kept.batches("train", **training),
    }


def main(_):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        link_images(folder)
        images = data.open_dataset(
            folder / "train", validation_fraction=0, test_fraction=0
        )
        split = as_records(images.subset("train"), folder / "all.tfrecord")
        records = dataclasses.replace(images, splits={"train": split})
        print(f"{FLAGS.count} images, {len(os.sched_getaffinity(0))} cores")
        for size in map(int, FLAGS.sizes):
            print(f"\n| {size} x {size} | images/s per core | / decoding |")
            print("|---|---|---|")
            calls = {
                title: lambda batches=batches: [None for _ in batches]
                for title, batches in contenders(
                    folder, images, records, size
                ).items()
            }
            seconds = median_seconds(calls, FLAGS.rounds, time.process_time)
            alone = seconds["decoding alone"]
            for title, taken in seconds.items():
                rate = FLAGS.count / taken
                print(
                    f"| {title} | {rate:.0f} | {alone / taken:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    app.run(results.kept(main))
