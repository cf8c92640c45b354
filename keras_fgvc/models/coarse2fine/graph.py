"""The pieces of Coarse2Fine's graph, as functions of symbolic tensors."""

import keras
from keras import ops

from keras_fgvc import backbones
from keras_fgvc.layers import BilinearAttentionPooling
from keras_fgvc.models.coarse2fine import attention_views as views


class Look:
    """One look at an image: features, attention, parts, logits.

    Every call uses the same layers, but for batch normalisation that trains:
    an image with most of it greyed has statistics of its own, and normalised
    by those of both looks the second one would fail at inference.
    """

    def __init__(self, features, pooling, scale, batch_norm, **maps):
        self.features = self.second_features = features
        if batch_norm == "train":
            self.second_features = backbones.clone_batch_norm(
                features, "second_features"
            )
        self.maps = views.AttentionMaps(name="attention_maps", **maps)
        self.pool = BilinearAttentionPooling(
            pooling=pooling, normalize=True, name="part_pooling"
        )
        self.flatten = keras.layers.Flatten(name="flat_parts")
        self.scale = keras.layers.Rescaling(scale, name="scaled_parts")

    def __call__(self, images, head, second=False, hold=False):
        """Attention `(b, h, w, m)`, parts `(b, m, c)` and logits of a head.

        With `hold` the attention's kernel gets no gradient.
        """
        features = self.second_features if second else self.features
        feature_map = features(images)
        attention = self.maps(feature_map, hold=hold)
        parts = self.pool([feature_map, attention])
        return attention, parts, head(self.scale(self.flatten(parts)))


def head(num_classes, name):
    return keras.layers.Dense(num_classes, name=name)


def highlight(images, attention, upsampler, seed):
    """The images, greyed but for what one attention map lights up."""
    chosen = views.MapChoice(seed, name="choice")(attention)
    layer = views.Highlight(dtype="float32", name="highlight")
    return layer([images, upsampler(chosen)])


def crop_and_drop(images, attention, seed):
    """WS-DAN's views of the images."""
    layer = views.CropAndDrop(seed, dtype="float32", name="crop_and_drop")
    return layer([images, attention])


def prediction(coarse, fine, predict_with):
    """The outputs that are about classes, by name."""
    fusion = views.HeadFusion(predict_with, dtype="float32", name="fusion")
    logits = fusion([coarse, fine])
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return {
        "probabilities": softmax(logits),
        "logits": logits,
        "coarse_logits": coarse,
        "fine_logits": fine,
    }


def localization(attention, upsampler, threshold, cell):
    """The mean map and the box around what it is high on."""
    heatmap = ops.mean(attention, axis=-1)
    box = views.ObjectBox(threshold, cell, dtype="float32", name="boxes")
    boxes = box(upsampler(ops.expand_dims(heatmap, -1)))
    return {"heatmap": heatmap, "boxes": boxes}


def first_look(model, outputs):
    """A model of what needs no second look, out of the whole's outputs."""
    names = ("attention", "heatmap", "boxes", "parts")
    coarse = outputs["coarse_logits"]
    softmax = keras.layers.Softmax(dtype="float32", name="coarse_probabilities")
    chosen = {key: outputs[key] for key in names}
    chosen |= {"logits": coarse, "probabilities": softmax(coarse)}
    first = keras.Model(model.input, chosen, name=f"{model.name}_coarse")
    first.num_classes = model.num_classes
    return first
