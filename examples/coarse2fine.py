"""Coarse2Fine on a folder of photographs: both looks, and the first alone.

    python examples/coarse2fine.py FOLDER runs/birds

See elope.py for FOLDER. Its parent WS-DAN, and Coarse2Fine without orthogonal
start, as in the paper's Table 8:

    keras-fgvc train --recipe wsdan-official --backbone inception_v3 \
        --weights imagenet --data FOLDER --workdir runs/wsdan
    keras-fgvc train --recipe coarse2fine-paper --backbone inception_v3 \
        --weights imagenet --data FOLDER --workdir runs/table8 \
        --arguments orthogonal=false
"""

import sys

from keras_fgvc import data, evaluation, recipes, training


def main(folder, workdir, recipe, backbone, weights):
    images = data.open_dataset(folder)
    model = training.build_model(
        recipe, backbone, images.num_classes, weights=weights
    )
    training.fit(model, recipe, images, workdir)
    run = training.open_run(workdir)
    print(f"both looks: {run.evaluate()}")
    # Coarse2Fine's own: the first look alone costs half.
    size = recipe.load_size
    coarse = evaluation.evaluate(model.coarse_model(), images, load_size=size)
    print(f"first look: {coarse}")
    run.explain(images.subset("test").paths[:6], f"{workdir}/seen.png")
    print(f"picture: {workdir}/seen.png")


if __name__ == "__main__":
    main(
        *sys.argv[1:], recipes.get("coarse2fine-short"), "resnet50", "imagenet"
    )
