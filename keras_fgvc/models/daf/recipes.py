"""Recipes of DAF."""

from keras_fgvc.models.recipe import (
    Recipe,
    Stage,
    crop_and_flip,
    short_classifier,
)

# Crops of 448 x 448 out of 600 x 600 pixels, NTS-Net's.
CROP_AND_FLIP = crop_and_flip(448, 600)

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
                augmentation=CROP_AND_FLIP,
            ),
        ),
        # Section 3.6's layer, and section 3.7.1's overlap as it stands.
        arguments={
            "batch_norm": "train",
            "num_parts": 3,
            "fusion": "learned",
            "overlap_moves": "corners",
        },
    ),
    Recipe(
        name="daf-short",
        method="DAF",
        image_size=224,
        load_size=224,
        batch_size=16,
        stages=(short_classifier(CROP_AND_FLIP),),
    ),
)
