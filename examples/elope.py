"""ELoPE on a folder of photographs: all four stages, figures, a picture.

    python examples/elope.py FOLDER runs/birds

FOLDER holds class folders, or a split.csv (path,label,split and optionally
x_min,y_min,x_max,y_max). The same command goes on after an interruption. With
the paper's budget, and the figures after each stage:

    keras-fgvc train --recipe elope-paper --data FOLDER --weights imagenet \
        --workdir runs/birds --tune-threshold --evaluate-after all
"""

import sys

from keras_fgvc import data, recipes, training


def main(folder, workdir, recipe, backbone, weights):
    images = data.open_dataset(folder)
    model = training.build_model(
        recipe, backbone, images.num_classes, weights=weights
    )
    # ELoPE's own: boxes of validation images, if any, choose the threshold.
    has_boxes = images.subset("validation").boxes is not None
    training.fit(model, recipe, images, workdir, tune_threshold=has_boxes)
    run = training.open_run(workdir)
    print(f"threshold {model.threshold}, test: {run.evaluate()}")
    run.explain(images.subset("test").paths[:6], f"{workdir}/seen.png")
    print(f"picture: {workdir}/seen.png")


if __name__ == "__main__":
    main(*sys.argv[1:], recipes.get("elope-short"), "resnet50", "imagenet")
