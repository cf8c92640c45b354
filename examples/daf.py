"""DAF on a folder of photographs: student, teacher and their fusion.

    python examples/daf.py FOLDER runs/birds

See elope.py for FOLDER. The paper's Table 3: `keras-fgvc train --arguments`
heatmap=false,teacher=false or teacher=false or distill=false, or none.
"""

import sys

from keras_fgvc import data, evaluation, recipes, training

import numpy as np

MEMBERS = ("student", "teacher", "fusion")


def main(folder, workdir, recipe, backbone, weights):
    images = data.open_dataset(folder)
    model = training.build_model(
        recipe, backbone, images.num_classes, weights=weights
    )
    training.fit(model, recipe, images, workdir)
    kept = []  # DAF's own: what student, teacher and fusion say

    def keep(pixels, outputs):
        kept.append({name: outputs[f"{name}_logits"] for name in MEMBERS})

    size = recipe.load_size
    found = evaluation.predict(model, images, load_size=size, on_batch=keep)
    for name in MEMBERS:
        logits = np.concatenate([batch[name] for batch in kept])
        right = logits.argmax(axis=1) == found.labels
        print(f"test, {name}: top-1 {100 * right.mean():.2f} %")
    photographs = images.subset("test").paths[:6]
    training.open_run(workdir).explain(photographs, f"{workdir}/seen.png")


if __name__ == "__main__":
    main(*sys.argv[1:], recipes.get("daf-short"), "resnet50", "imagenet")
