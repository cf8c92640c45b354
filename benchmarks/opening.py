"""How long opening a data set takes, the first time and again.

    python benchmarks/opening.py --data=../shared/data/cub50

Opens it several times in one process with an empty cache of what was found in
its images: the first opening decodes all of them. Prints seconds of wall clock
and of the process's CPU, and the ratio of the first to the later ones.
"""

import os
import tempfile
import time

import results
import tensorflow as tf
from absl import app, flags

from keras_fgvc import data

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder or .csv file.", required=True)
flags.DEFINE_integer("again", 3, "How often it is opened again.", lower_bound=1)


def open_once():
    """Returns seconds of wall clock and of CPU, and the number of images."""
    wall, cpu = time.perf_counter(), time.process_time()
    images = data.open_dataset(FLAGS.data)
    count = sum(images.split_sizes.values())
    return time.perf_counter() - wall, time.process_time() - cpu, count


def main(_):
    # TensorFlow starts before the first opening is timed.
    tiny = tf.io.encode_jpeg(tf.zeros((8, 8, 3), "uint8"))
    data.decode_and_resize(tiny, (8, 8))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERAS_FGVC_CACHE"] = folder
        turns = [open_once() for _ in range(1 + FLAGS.again)]
    for number, (wall, cpu, count) in enumerate(turns, start=1):
        print(
            f"opening {number}: {wall:.3f} s, {cpu:.3f} s of CPU, "
            f"{count} images"
        )
    first, *later = (wall for wall, _, _ in turns)
    print(f"first / again: {first / min(later):.0f}")


if __name__ == "__main__":
    app.run(results.kept(main))
