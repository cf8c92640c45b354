"""A user's own model, trained with losses that are layers."""

import keras

from keras_fgvc.models._classification import cross_entropy
from keras_fgvc.models.base import FineGrainedModel

CROSS_ENTROPY = "cross_entropy"


def with_losses(
    model: keras.Model,
    loss_layers: dict,
    *,
    term_weights: dict | None = None,
    name: str | None = None,
):
    """Adds losses that keep a state to a functional model of your own.

    `ClassMeanEmbeddingLoss` and `AttentionCenterLoss` are layers that take
    labels. The result feeds them: `fit(images, labels)` trains with the
    cross-entropy and with each of them, and shows each by name; `predict`
    needs no labels. It is saved, loaded and exported as any other model.

    Args:
        model: Functional model with one input and a dict of outputs that has
            `"probabilities"` and what the losses look at. The layers are
            shared, not copied. With an output `"logits"` the cross-entropy is
            taken of it, which is more exact.
        loss_layers: Dict from the name of an output to the layer whose first
            argument it is.
        term_weights: Weights by the names of `loss_layers`, and of
            `"cross_entropy"`. Defaults to 1 each.
        name: Name of the result. Defaults to that of `model`.

    Returns:
        A `FineGrainedModel`: `compile` it without a loss.

    Outputs:
        Those of `model`, by their names.

    Raises:
        TypeError: If `model` is no `keras.Model`, or a loss is no layer.
        ValueError: If an output is missing, or a weight is of no term.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import ClassMeanEmbeddingLoss
    from keras_fgvc.models import with_losses

    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(image)
    embedding = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(10)(embedding)
    outputs = {
        "probabilities": keras.layers.Softmax()(logits),
        "logits": logits,
        "embedding": embedding,
    }
    model = with_losses(
        keras.Model(image, outputs),
        {"embedding": ClassMeanEmbeddingLoss(10)},
        term_weights={"embedding": 0.5},
    )
    model.compile("adam", metrics=["accuracy"])
    ```
    """
    _check(model, loss_layers, term_weights or {})
    name = name or model.name
    return ModelWithLosses(
        model, loss_layers, term_weights=term_weights, name=name
    )


@keras.saving.register_keras_serializable(package="keras_fgvc")
class ModelWithLosses(FineGrainedModel):
    """Model that `with_losses` returns."""

    def __init__(
        self,
        model,
        loss_layers: dict,
        *,
        term_weights: dict | None = None,
        **kwargs,
    ):
        outputs = dict(model.output)
        num_classes = outputs["probabilities"].shape[-1]
        super().__init__(
            model.inputs[0], outputs, num_classes=num_classes, **kwargs
        )
        for name, layer in loss_layers.items():
            if not layer.built:
                layer.build(tuple(outputs[name].shape))
        self.tracked_losses = list(loss_layers.values())  # saved by Keras
        names = (CROSS_ENTROPY, *loss_layers)
        self.loss_weights = {n: (term_weights or {}).get(n, 1.0) for n in names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = {k: v for k, v in config.items() if k != "num_classes"}
        return super().from_config(config, custom_objects)

    def loss_terms(self, labels, outputs, training):
        terms = {CROSS_ENTROPY: _cross_entropy(labels, outputs)}
        for name, layer in self.loss_layers.items():
            terms[name] = layer(outputs[name], labels, training=training)
        return terms

    def feature_extractors(self) -> list:
        """Returns no backbone, because a user's graph does not name one."""
        return []


def _cross_entropy(labels, outputs):
    if "logits" in outputs:
        return cross_entropy(labels, outputs["logits"])
    return keras.losses.sparse_categorical_crossentropy(
        labels, keras.ops.cast(outputs["probabilities"], "float32")
    )


def _check(model, loss_layers, term_weights):
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: {model!r} "
            f"(of type {type(model).__name__})."
        )
    outputs = getattr(model, "output", None)
    given = list(outputs) if isinstance(outputs, dict) else outputs
    missing = {"probabilities", *loss_layers}
    missing -= set(outputs) if isinstance(outputs, dict) else set()
    count = len(getattr(model, "inputs", None) or ())
    if missing or count != 1:
        raise ValueError(
            "`model` must be functional, with one input and a dict of outputs "
            'that has "probabilities" and each name of `loss_layers`. '
            f"Received: outputs {given} without {sorted(missing)}, and "
            f"{count} inputs."
        )
    for name, layer in loss_layers.items():
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                "`loss_layers` must hold layers, such as "
                f"ClassMeanEmbeddingLoss(10). Received: {layer!r} for {name!r}."
            )
    unknown = set(term_weights) - {CROSS_ENTROPY, *loss_layers}
    if unknown:
        raise ValueError(
            f"`term_weights` must name {CROSS_ENTROPY!r} or one of "
            f"`loss_layers`. Received: {sorted(unknown)}."
        )
