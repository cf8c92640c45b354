"""ELoPE from a folder of photographs to a trained model, all four stages.

    python examples/elope.py --data=FOLDER --backbone=resnet50 \
        --weights=imagenet --recipe=elope-paper --workdir=runs/birds

FOLDER holds class folders, or a split.csv (path,label,split and optionally
x_min,y_min,x_max,y_max). Run the same command again after an interruption: it
goes on after the last finished epoch. The test split is looked at after each
stage and never used to choose. Where images have boxes, --tune_threshold
chooses tau by those of the validation split.
"""

from absl import app, flags
from paper_run import run

FLAGS = flags.FLAGS
FLAGS.set_default("recipe", "elope-short")
flags.mark_flag_as_required("data")


def main(_):
    run(tune_after="localizer")


if __name__ == "__main__":
    app.run(main)
