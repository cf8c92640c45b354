"""Recipes of Coarse2Fine, and of its parent WS-DAN."""

import dataclasses

from keras_fgvc.models.recipe import Recipe, Stage, crop_and_flip

# Crops of 448 x 448 out of 512 x 512 pixels, and the same for 224 and 256.
CROP_AND_FLIP = crop_and_flip(448, 512)

RECIPES = (
    # "Setup" and "Pre-training of the deconvolutional network". The learning
    # rates, the image size, the augmentation and whether batch normalisation
    # trains are not given: the parent's.
    Recipe(
        name="coarse2fine-paper",
        method="Coarse2Fine",
        image_size=448,
        load_size=448,
        batch_size=64,
        stages=(
            Stage(
                "upsampler",
                epochs=100,
                learning_rate=1e-3,
                optimizer="adam",
                num_examples=60_000,
                monitor="val_loss",
            ),
            Stage(
                "classifier",
                epochs=200,
                learning_rate=1e-3,
                weight_decay=1e-5,
                schedule="step",
                step_epochs=2,
                step_factor=0.9,
                augmentation=CROP_AND_FLIP,
            ),
        ),
        arguments={"batch_norm": "train", "kernel_offset": 0.0},
    ),
    # The code of Hu and Qi; its brightness is added, ours multiplies.
    Recipe(
        name="wsdan-official",
        method="Coarse2Fine",
        image_size=448,
        load_size=448,
        batch_size=12,
        stages=(
            Stage(
                "classifier",
                epochs=160,
                learning_rate=1e-3,
                weight_decay=1e-5,
                schedule="step",
                step_epochs=2,
                step_factor=0.9,
                augmentation=dataclasses.replace(
                    CROP_AND_FLIP,
                    brightness=32 / 255,
                    saturation=0.5,
                ),
            ),
        ),
        arguments={
            "augment": "crop_drop",
            "batch_norm": "train",
            "maps_norm": "batch",
            "num_maps": 32,
            "normalize_centers": True,
        },
    ),
    Recipe(
        name="coarse2fine-short",
        method="Coarse2Fine",
        image_size=224,
        load_size=224,
        batch_size=16,
        stages=(
            Stage(
                "upsampler",
                epochs=2,
                learning_rate=1e-3,
                optimizer="adam",
                num_examples=2_000,
                monitor="val_loss",
            ),
            Stage(
                "classifier",
                epochs=8,
                # At 2e-4 for all, what the untrained masks send back through
                # the backbone undoes it: see docs/results/birds.md.
                learning_rate=5e-5,
                head_rate=4.0,
                optimizer="adam",
                schedule="cosine",
                augmentation=CROP_AND_FLIP,
            ),
        ),
        # Features at stride 16 may be strongest at the border of the image,
        # as MobileNetV2's are: see docs/results/birds.md.
        arguments={"kernel_offset": 0.0},
    ),
)
