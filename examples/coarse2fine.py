"""Coarse2Fine, or WS-DAN, on a folder of photographs.

    python examples/coarse2fine.py --data=FOLDER --backbone=inception_v3 \
        --weights=imagenet --recipe=coarse2fine-paper --workdir=runs/birds
    python examples/coarse2fine.py ... --recipe=wsdan-official

See elope.py for what FOLDER holds. Without orthogonal start, as in the
paper's Table 8: --arguments=orthogonal=false. The plain fine-tune by the same
recipe: --baseline. WORKDIR/attention.png shows test images under their mean
attention map, with true (green) and found (red) boxes.
"""

import pathlib

from absl import app, flags
from paper_run import run, sample_images

from keras_fgvc import visualization

FLAGS = flags.FLAGS
FLAGS.set_default("recipe", "coarse2fine-short")
flags.mark_flag_as_required("data")


def main(_):
    model, images, recipe = run(tune_after="classifier")
    if FLAGS.baseline:
        return
    pixels, boxes, labels = sample_images(images, recipe.load_size)
    outputs = model.predict(pixels, verbose=0)
    guesses = outputs["probabilities"].argmax(axis=1)
    path = pathlib.Path(FLAGS.workdir) / "attention.png"
    visualization.save_grid(
        path,
        pixels,
        titles=[
            f"{images.class_names[label][:18]} {'+' if right else '-'}"
            for label, right in zip(labels, guesses == labels, strict=True)
        ],
        heatmaps=outputs["heatmap"],
        true_boxes=boxes,
        boxes=outputs["boxes"][:, 0],
    )
    print(f"picture: {path}")


if __name__ == "__main__":
    app.run(main)
