"""Recipes of painless attention."""

from keras_fgvc.models.recipe import (
    Recipe,
    Stage,
    crop_and_flip,
    short_classifier,
)

# Crops of 224 x 224 out of 256 x 256 pixels.
CROP_AND_FLIP = crop_and_flip(224, 256)

RECIPES = (
    # Section 4.2. Momentum is not stated; nor is a weight decay.
    Recipe(
        name="painless-paper",
        method="PainlessAttention",
        image_size=224,
        load_size=224,
        batch_size=64,
        stages=(
            Stage(
                "classifier",
                epochs=100,
                learning_rate=1e-3,
                head_rate=10.0,
                schedule="step",
                step_epochs=30,
                step_factor=0.5,
                augmentation=CROP_AND_FLIP,
            ),
        ),
    ),
    Recipe(
        name="painless-short",
        method="PainlessAttention",
        image_size=224,
        load_size=224,
        batch_size=16,
        stages=(short_classifier(CROP_AND_FLIP),),
    ),
    # Section 4.1 with its learning rate, but a budget of minutes: 200 epochs
    # of 200,000 images there. The cosine stands for its one step.
    Recipe(
        name="painless-digits",
        method="PainlessAttention",
        image_size=40,
        load_size=40,
        batch_size=64,
        stages=(
            Stage(
                "classifier", epochs=12, learning_rate=0.1, schedule="cosine"
            ),
        ),
    ),
)
