"""The data sets that have a name, as a table, or what is known of one.

    python examples/datasets.py
    python examples/datasets.py --name=celeb_a/Smiling --data_dir=FOLDER

Nothing is downloaded. In a second; with --name of a data set that is on disk
it is opened. The sizes of splits are as published; where there is no
validation split, `open_dataset` cuts one from train. The same as
`keras-fgvc datasets`.
"""

from keras_fgvc.cli import datasets

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("name", None, "Tell about this data set only.")
flags.DEFINE_string("data_dir", None, "Where data sets are looked for.")


def main(_):
    datasets.run(FLAGS)


if __name__ == "__main__":
    app.run(main)
