"""Painless attention on a folder of photographs, and what its gates say.

    python examples/painless_attention.py FOLDER runs/birds

See elope.py for FOLDER. Other places and numbers of masks:
keras-fgvc train --method painless --arguments taps=[16,32],num_heads=4 ...
benchmarks/painless_ablation.py trains the rows of the paper's Figure 4.
"""

import sys

from keras_fgvc import data, evaluation, recipes, training

import numpy as np


def main(folder, workdir, recipe, backbone, weights):
    images = data.open_dataset(folder)
    model = training.build_model(
        recipe, backbone, images.num_classes, weights=weights
    )
    training.fit(model, recipe, images, workdir)
    gates = []  # the method's own: how much each mask has a say

    def keep(pixels, outputs):
        gates.append(outputs["gates"])

    size = recipe.load_size
    found = evaluation.predict(model, images, load_size=size, on_batch=keep)
    print(f"test: {evaluation.evaluate_predictions(found)}")
    masks = [f"{p}/{n}" for p in model.taps for n in range(model.num_heads)]
    means = np.concatenate(gates).mean(axis=0)
    for name, gate in zip(["network", *masks], means, strict=True):
        print(f"gate of {name}: {gate:.2f}")
    photographs = images.subset("test").paths[:6]
    training.open_run(workdir).explain(photographs, f"{workdir}/seen.png")


if __name__ == "__main__":
    main(*sys.argv[1:], recipes.get("painless-short"), "resnet50", "imagenet")
