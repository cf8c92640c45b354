"""The plain fine-tune that every table of results needs in its first row."""

import keras

from keras_fgvc import backbones
from keras_fgvc._checks import check_choice, check_in_range
from keras_fgvc.backbones.own_models import image_input
from keras_fgvc.models._classification import (
    check_model_arguments,
    cross_entropy,
)
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.outputs import MapOf
from keras_fgvc.models.recipe import (
    Recipe,
    crop_and_flip,
    short_classifier,
)
from keras_fgvc.models.registry import register_method

POOLING = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


RECIPES = (
    Recipe(
        name="baseline-short",
        method="Baseline",
        image_size=224,
        load_size=224,
        batch_size=16,
        stages=(short_classifier(crop_and_flip(224, 256)),),
    ),
)


@register_method("baseline", recipes=RECIPES)
@keras.saving.register_keras_serializable(package="keras_fgvc")
class Baseline(FineGrainedModel):
    """A backbone, global pooling and one fully connected layer.

    ```
    image (b, h, w, 3) -> backbone -> feature_map (b, h/32, w/32, c)
      -> pooling (b, c) -> dropout -> logits (b, classes) -> probabilities
    ```

    Args:
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` from raw pixels 0..255 to feature maps.
        num_classes: Integer, the number of classes.
        pooling: `"average"` (default) or `"max"`.
        dropout_rate: Share of pooled features dropped in training.
            Defaults to 0.
        tap: Stride or layer name of the feature map. Defaults to 32.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, see
            `keras_fgvc.backbones.build`.
        output_stride: 16 or 8 for a denser last map, see
            `keras_fgvc.backbones.build`. Defaults to None.
        preprocessing: Of a backbone that is no name, see
            `keras_fgvc.backbones.build`. Defaults to "own".
        tokens: Of a network that ends in tokens, see
            `keras_fgvc.backbones.build`. Defaults to None.
        trainable: `"all"` (default), `"none"`, or `"last:3"` for the last
            three blocks, see `keras_fgvc.backbones.build`.
        remat: Whether training saves memory by computing activations twice,
            see `keras_fgvc.backbones.build`. Defaults to `False`.
        **kwargs: `name` and the like.

    Outputs:
        `"probabilities"` and `"logits"` `(batch, classes)`;
        `"mean_activation"` `(batch, i, j)`, the channel mean of the last
        feature map, which is high on the object.

    Raises:
        ValueError: If an argument is not as described.

    Example:

    ```python
    from keras_fgvc.models import Baseline

    model = Baseline("mobilenet_v2", num_classes=200, weights=None)
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        pooling: str = "average",
        dropout_rate: float = 0.0,
        tap=32,
        weights: str | None = "imagenet",
        batch_norm: str = "frozen",
        output_stride: int | None = None,
        preprocessing="own",
        tokens: int | None = None,
        trainable: str = "all",
        remat: bool = False,
        **kwargs,
    ):
        # ---- check ----
        num_classes = check_model_arguments(num_classes)
        check_choice("pooling", pooling, POOLING)
        check_in_range("dropout_rate", dropout_rate, 0.0, 1.0)

        # ---- graph ----
        features = backbones.build(
            backbone,
            taps=(tap,),
            weights=weights,
            batch_norm=batch_norm,
            output_stride=output_stride,
            preprocessing=preprocessing,
            tokens=tokens,
            trainable=trainable,
            remat=remat,
        )
        image = image_input(features)
        feature_map = features(image)
        pooled = POOLING[pooling](name="pooling")(feature_map)
        pooled = keras.layers.Dropout(dropout_rate, name="dropout")(pooled)
        logits = keras.layers.Dense(num_classes, name="logits")(pooled)
        probabilities = keras.layers.Softmax(
            dtype="float32", name="probabilities"
        )(logits)
        outputs = {
            "probabilities": probabilities,
            "logits": logits,
            "mean_activation": keras.ops.mean(feature_map, axis=-1),
        }
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            output_meanings={
                "mean_activation": MapOf("image", "mean activation")
            },
            **kwargs,
        )
        self.features = features

    def loss_terms(self, labels, outputs, training):
        return {"cross_entropy": cross_entropy(labels, outputs["logits"])}
