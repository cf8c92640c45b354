"""FCAN on a folder of photographs, and what each of its views knows.

    python examples/fcan.py FOLDER runs/birds

See elope.py for FOLDER. WORKDIR/cache, of feature maps, may be deleted at the
end. Two rounds: keras-fgvc train --recipe fcan-paper --rounds 2 --data ...
benchmarks/fcan_views.py prints the rows of the paper's Table 6.
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
    views = []  # FCAN's own: the whole image, then a region of each size

    def keep(pixels, outputs):
        views.append(outputs["view_logits"])

    size = recipe.load_size
    found = evaluation.predict(model, images, load_size=size, on_batch=keep)
    print(f"test: {evaluation.evaluate_predictions(found)}")
    right = np.concatenate(views).argmax(axis=2) == found.labels[:, None]
    names = ["whole image", *(f"{n}x{n} cells" for n in model.part_sizes)]
    for name, share in zip(names, right.mean(axis=0), strict=True):
        print(f"{name} alone: top-1 {100 * share:.2f} %")
    photographs = images.subset("test").paths[:6]
    training.open_run(workdir).explain(photographs, f"{workdir}/seen.png")


if __name__ == "__main__":
    main(*sys.argv[1:], recipes.get("fcan-short"), "resnet50", "imagenet")
