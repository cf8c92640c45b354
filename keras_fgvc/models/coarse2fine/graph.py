"""The pieces of Coarse2Fine's graph, as functions of symbolic tensors."""

import keras
from keras import ops

from keras_fgvc import backbones
from keras_fgvc.layers import AttentionUpsampler, BilinearAttentionPooling
from keras_fgvc.models._declared import DeclaredModel
from keras_fgvc.models.coarse2fine import attention_views as views
from keras_fgvc.models.outputs import MapOf, MapsOf, Members, ObjectBox


def inputs(size):
    """Images of any size, and squares of one, `(b, size, size, 3)`."""
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    resize = keras.layers.Resizing(size, size, dtype="float32", name="square")
    return image, resize(image)


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
        attention = self.maps(feature_map, hold=hold, second=second)
        parts = self.pool([feature_map, attention])
        return attention, parts, head(self.scale(self.flatten(parts)))


def head(num_classes, name):
    return keras.layers.Dense(num_classes, name=name)


def make_upsampler(attention, image_size):
    """Enlarges a map `(b, h, w, m)` to about the image's pixels."""
    cell = max(1, round(image_size / attention.shape[1]))
    return AttentionUpsampler(cell, name="upsampler")


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


def localization(attention, upsampler, threshold):
    """The maps, their mean and the box around what it is high on."""
    heatmap = ops.mean(attention, axis=-1)
    box = views.ObjectBox(
        threshold, upsampler.factor, dtype="float32", name="boxes"
    )
    boxes = box(upsampler(ops.expand_dims(heatmap, -1)))
    return {"heatmap": heatmap, "boxes": boxes, "attention": attention}


def meanings(outputs):
    """Declares the outputs of both looks, or of the first alone."""
    found = {
        "boxes": ObjectBox(),
        "heatmap": MapOf("image", "mean attention"),
        "attention": MapsOf("image", "attention map"),
    }
    if "fine_logits" in outputs:
        found["coarse_logits"] = Members(("first look",))
        found["fine_logits"] = Members(("second look",))
    return found


def first_look(model):
    """A model of what needs no second look, out of the whole's outputs."""
    names, outputs = ("attention", "heatmap", "boxes", "parts"), model.output
    coarse = outputs["coarse_logits"]
    softmax = keras.layers.Softmax(dtype="float32", name="coarse_probabilities")
    chosen = {key: outputs[key] for key in names}
    chosen |= {"logits": coarse, "probabilities": softmax(coarse)}
    first = DeclaredModel(model.input, chosen, name=f"{model.name}_coarse")
    return first.declare(meanings(chosen), num_classes=model.num_classes)
