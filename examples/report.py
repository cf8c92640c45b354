"""A report of a finished run: figures, explanations, curves, confusions.

    python examples/report.py --workdir=runs/birds

WORKDIR is that of any of the other scripts, or of `training.fit`. Evaluates
the model on a split and writes WORKDIR/report.html, one file that opens
anywhere, and its pictures as WORKDIR/report/*.png. --data tells where the
images lie now, if they were moved. The same as `keras-fgvc report`.
"""

from keras_fgvc import training

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Of the training.", required=True)
flags.DEFINE_string("data", None, "Where its data lies, if it was moved.")
flags.DEFINE_string("data_dir", None, "See data.open_dataset.")
flags.DEFINE_string("split", "test", "Split to report on.")
flags.DEFINE_integer("batch_size", 32, "Images a step.")
flags.DEFINE_integer("num_images", 8, "Images to explain.", lower_bound=1)
flags.DEFINE_integer("num_mistakes", 4, "Mistakes to explain.", lower_bound=0)
flags.DEFINE_integer("num_pairs", 8, "Confused pairs to show.", lower_bound=1)


def main(_):
    page = training.open_run(FLAGS.workdir).report(
        FLAGS.split,
        name_or_path=FLAGS.data,
        data_dir=FLAGS.data_dir,
        batch_size=FLAGS.batch_size,
        num_images=FLAGS.num_images,
        num_mistakes=FLAGS.num_mistakes,
        num_pairs=FLAGS.num_pairs,
    )
    print(f"report: {page}")


if __name__ == "__main__":
    app.run(main)
