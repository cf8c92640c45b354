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
    # Section 4.2. Momentum is not stated; nor is a weight decay, nor whether
    # batch normalisation trains: it does in training by their framework.
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
        arguments={"batch_norm": "train"},
    ),
    Recipe(
        name="painless-short",
        method="PainlessAttention",
        image_size=224,
        load_size=224,
        batch_size=16,
        stages=(short_classifier(CROP_AND_FLIP),),
    ),
    # Section 4.1: 200 epochs at 0.1, divided by 10 after epoch 60. The batch
    # size is section 4.2's, the network (benchmarks/painless_ablation.py) new.
    Recipe(
        name="painless-digits-paper",
        method="PainlessAttention",
        image_size=40,
        load_size=40,
        batch_size=64,
        stages=(
            Stage("classifier", epochs=60, learning_rate=0.1),
            Stage("classifier", epochs=140, learning_rate=0.01),
        ),
        arguments={"batch_norm": "train"},
    ),
    # The same with its learning rate, but a budget of minutes: 200 epochs
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
