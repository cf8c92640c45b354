"""Recipes of DAF."""

from keras_fgvc.data import Augmentation
from keras_fgvc.models.recipe import Recipe, Stage

# Crops of 448 x 448 out of 600 x 600 pixels, NTS-Net's.
CROP_SHARE = (448 / 600) ** 2

RECIPES = (
    # Section 4.2 and table 3. Epochs, batch size and augmentation are not
    # given: the batch size and the augmentation are NTS-Net's, its parent.
    Recipe(
        name="daf-paper",
        method="DAF",
        image_size=448,
        load_size=448,
        batch_size=16,
        stages=(
            Stage(
                "classifier",
                epochs=100,
                learning_rate=0.01,
                weight_decay=1e-4,
                schedule="step",
                step_epochs=50,
                step_factor=0.5,
                augmentation=Augmentation(
                    random_crop=(CROP_SHARE, CROP_SHARE), horizontal_flip=True
                ),
            ),
        ),
        arguments={"batch_norm": "train", "num_parts": 3},
    ),
    Recipe(
        name="daf-short",
        method="DAF",
        image_size=224,
        load_size=224,
        batch_size=16,
        stages=(
            Stage(
                "classifier",
                epochs=8,
                learning_rate=2e-4,
                head_rate=10.0,
                optimizer="adam",
                schedule="cosine",
                augmentation=Augmentation(
                    random_crop=(CROP_SHARE, CROP_SHARE), horizontal_flip=True
                ),
            ),
        ),
    ),
)
