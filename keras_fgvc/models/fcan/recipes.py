"""Recipes of FCAN."""

from keras_fgvc.data import Augmentation
from keras_fgvc.models.recipe import Recipe, Stage, crop_and_flip

# Crops of 448 x 448 out of 512 x 512 pixels, and the same for 224 and 256.
CROP_AND_FLIP = crop_and_flip(448, 512)
# Regions are given with the image: a crop might cut them off.
FLIP = Augmentation(horizontal_flip=True)

RECIPES = (
    # Section 5.1, cars and birds. Optimizer, batch size, learning rate and
    # sampling of the localiser are the paper's; epochs and all of the other
    # stages are not given.
    Recipe(
        name="fcan-paper",
        method="FCAN",
        image_size=512,
        load_size=512,
        batch_size=32,
        stages=(
            Stage(
                "whole",
                epochs=30,
                learning_rate=1e-3,
                schedule="step",
                step_epochs=10,
                augmentation=CROP_AND_FLIP,
            ),
            Stage(
                "localizer",
                epochs=60,
                learning_rate=0.01,
                optimizer="rmsprop",
                batch_size=512,
                monitor="val_reward_lead",
            ),
            Stage(
                "parts",
                epochs=30,
                learning_rate=1e-3,
                schedule="step",
                step_epochs=10,
                augmentation=FLIP,
            ),
        ),
        arguments={"crop_size": 448, "part_sizes": (4, 8)},
    ),
    Recipe(
        name="fcan-short",
        method="FCAN",
        image_size=448,
        load_size=448,
        batch_size=16,
        stages=(
            Stage(
                "whole",
                epochs=8,
                learning_rate=2e-4,
                optimizer="adam",
                head_rate=10.0,
                schedule="cosine",
                augmentation=CROP_AND_FLIP,
            ),
            Stage(
                "localizer",
                epochs=20,
                learning_rate=1e-3,
                optimizer="adam",
                batch_size=64,
                schedule="cosine",
                monitor="val_reward_lead",
            ),
            Stage(
                "parts",
                epochs=4,
                learning_rate=1e-4,
                optimizer="adam",
                schedule="cosine",
                augmentation=FLIP,
            ),
        ),
        arguments={
            "crop_size": 224,
            "part_sizes": (4, 7),  # of 14 cells
            "judge": "crops",
            "places": 4,
            "num_samples": None,
        },
    ),
)
