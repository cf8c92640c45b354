"""Painless attention on photographs, and the paper's study on digits.

    python examples/painless_attention.py --data=FOLDER --weights=imagenet \
        --backbone=resnet50 --recipe=painless-paper --workdir=runs/birds
    python examples/painless_attention.py --ablation --workdir=runs/digits \
        --mnist=mnist.npz

See elope.py for what FOLDER holds. The plain fine-tune by the same recipe:
--baseline. WORKDIR/masks.png shows test images under their masks, one row a
module. --ablation trains the rows of the paper's Figure 4 on cluttered digits
and prints its table; see painless_ablation.py.
"""

import pathlib

import numpy as np
import painless_ablation
from absl import app, flags
from paper_run import run, sample_images

from keras_fgvc import visualization

FLAGS = flags.FLAGS
FLAGS.set_default("recipe", "painless-short")
flags.DEFINE_boolean("ablation", False, "Figure 4 on cluttered digits.")
COUNT = 8


def main(_):
    if FLAGS.ablation:
        return painless_ablation.main()
    if FLAGS.data is None:
        raise app.UsageError("--data=FOLDER is needed, or --ablation.")
    model, images, recipe = run()
    if not FLAGS.baseline:
        show_masks(model, images, recipe.load_size)


def show_masks(model, images, size):
    """Each test image under each mask of each module."""
    pixels, _, _ = sample_images(images, size, COUNT)
    outputs = model.predict(pixels, verbose=0)
    pictures, maps, titles = [], [], []
    for module, place in enumerate(model.taps):
        masks = outputs[f"masks_{module}"]
        for head in range(model.num_heads):
            pictures.extend(pixels)
            # Each map to its own range, whatever its size.
            maps.extend(masks[..., head])
            gate = outputs["gates"][:, 1 + module * model.num_heads + head]
            titles += [f"{place}, head {head}: {g:.2f}" for g in gate]
    path = pathlib.Path(FLAGS.workdir) / "masks.png"
    visualization.save_grid(
        path, np.array(pictures), titles=titles, heatmaps=maps, columns=COUNT
    )
    print(f"picture: {path} (title: where, which mask, its gate)")


if __name__ == "__main__":
    app.run(main)
