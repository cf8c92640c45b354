"""A method of your own, in one file, through the whole command line.

Pools the mean and the maximum of the feature map and classifies both.

    keras-fgvc train --register examples/sixth_method.py --method mean_max \\
        --data photographs --backbone mobilenet_v2 --workdir runs/mine
    keras-fgvc evaluate --register examples/sixth_method.py \\
        --workdir runs/mine
    keras-fgvc export --register examples/sixth_method.py \\
        --workdir runs/mine --out served/mine/1

No accuracy was measured: the method shows how to register one.
"""

from keras_fgvc import backbones
from keras_fgvc.models import FineGrainedModel, register_method
from keras_fgvc.models.outputs import MapOf
from keras_fgvc.recipes import Recipe, Stage

import keras

SHORT = Recipe(
    name="mean_max-short",
    method="MeanMax",
    image_size=224,
    load_size=224,
    batch_size=16,
    stages=(Stage("classifier", epochs=4, learning_rate=0.01),),
)


@register_method("mean_max", recipes=(SHORT,))
@keras.saving.register_keras_serializable(package="mine")
class MeanMax(FineGrainedModel):
    """Classifies the mean and the maximum of a backbone's feature map."""

    def __init__(
        self, backbone, num_classes, *, tap=32, weights="imagenet", **kwargs
    ):
        features = backbones.build(backbone, taps=(tap,), weights=weights)
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        feature_map = features(image)
        pooled = keras.ops.concatenate(
            [
                keras.ops.mean(feature_map, axis=(1, 2)),
                keras.ops.max(feature_map, axis=(1, 2)),
            ],
            axis=-1,
        )
        logits = keras.layers.Dense(num_classes, dtype="float32")(pooled)
        outputs = {
            "probabilities": keras.ops.softmax(logits),
            "logits": logits,
            "activity": keras.ops.mean(feature_map, axis=-1),
        }
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            # Evaluation and pictures read this, never a name.
            output_meanings={"activity": MapOf("image", "activity")},
            **kwargs,
        )
        self.features = features

    def loss_terms(self, labels, outputs, training):
        return {
            "cross_entropy": keras.losses.sparse_categorical_crossentropy(
                labels, outputs["logits"], from_logits=True
            )
        }
