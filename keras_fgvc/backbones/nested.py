"""One network inside a backbone, kept whole as a layer with grids as outputs.

The graph of a backbone holds such a network as one layer, because the inner
layers of KerasHub's networks cannot all be made from their configs again. The
network itself can.
"""

import keras
from keras import ops

from keras_fgvc import _extras
from keras_fgvc.backbones import families, token_families
from keras_fgvc.backbones.grids import resize_pixels, scale_grid, scaled_side

HUB = "keras_hub"


@keras.saving.register_keras_serializable(package="keras_fgvc")
class NestedNetwork(keras.layers.Layer):
    """Computes grids `(batch, height, width, channels)` of a network.

    Only the layers that the taps need have weights here. A transformer of
    KerasHub (ViT, DeiT, DINOv2, DINOv3, Swin) is tapped behind its blocks,
    any other network at the layers of its graph.

    Args:
        network: `keras.Model` with one image input.
        taps: Strides, `"block_1"` and so on, or layer names.
        tokens: Of a network that ends in tokens and is none of the above:
            how many of them stand before the patches. `None` computes it.
        zoom: Factor by which the images are enlarged first.
        remat: Whether training computes each block again for the gradient.
        frozen: Numbers of the layers in this one that do not train, as a
            saved file has them.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Raises:
        ValueError: If the network has no such tap.
    """

    def __init__(
        self,
        network,
        taps=(32,),
        *,
        tokens=None,
        zoom=1,
        remat=False,
        frozen=(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.remat = remat
        # The network is kept in the family alone: Keras saves every layer that
        # is an attribute, and no tap may need all of the network's layers.
        self.taps, self.tokens, self.zoom = tuple(taps), tokens, zoom
        family = make_family(network, tokens)
        self._places = [family.find(tap) for tap in self.taps]
        parts = family.parts(self._places)
        self.family = family
        self.part_names = tuple(name for name, _ in parts)
        self.parts = [layer for _, layer in parts]
        self.built = True
        inside = self._flatten_layers(include_self=False)
        for number in frozen:
            inside[number].trainable = False

    def named_parts(self) -> list:
        """Pairs (key, layer) of the network's layers that have a use here."""
        return list(zip(self.part_names, self.parts, strict=True))

    def tapped(self, taps, zoom=1):
        """The same network on the same weights with other taps."""
        return NestedNetwork(
            self.family.network,
            taps,
            tokens=self.tokens,
            zoom=zoom,
            remat=self.remat,
            dtype=self.dtype_policy,
            name=self.name,
        )

    def call(self, images, training=None):
        images = resize_pixels(images, self.zoom)
        again = bool(self.remat and training)
        maps = self.family.maps(images, self._places, again)
        maps = [
            ops.cast(scale_grid(each, place.levels), self.compute_dtype)
            for each, place in zip(maps, self._places, strict=True)
        ]
        return maps if len(maps) > 1 else maps[0]

    def compute_output_shape(self, input_shape):
        height, width = (
            None if side is None else int(side * self.zoom)
            for side in input_shape[1:3]
        )
        shapes = [
            self._shape(place, height, width, input_shape[0])
            for place in self._places
        ]
        return shapes if len(shapes) > 1 else shapes[0]

    def _shape(self, place, height, width, batch):
        *sides, channels = self.family.shape(place, height, width)
        sides = [
            side if side is None else scaled_side(side, place.levels)
            for side in sides
        ]
        return (batch, *sides, channels)

    def get_config(self):
        # The config of KerasHub's network does not say what is frozen.
        inside = enumerate(self._flatten_layers(include_self=False))
        frozen = [number for number, each in inside if not each.trainable]
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.family.network),
            "taps": list(self.taps),
            "tokens": self.tokens,
            "zoom": self.zoom,
            "remat": self.remat,
            "frozen": frozen,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        import_hub_for(config["network"])
        config["network"] = keras.saving.deserialize_keras_object(
            config["network"]
        )
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_fgvc")
class RematModel(keras.Model):
    """A functional model whose blocks are computed again for the gradient."""

    def call(self, inputs, training=None, mask=None):
        if not training:
            return super().call(inputs, training=training, mask=mask)
        # A rare thing, imported where it is used.
        from keras_fgvc.backbones.remat import run

        outputs = run(self, self._standardize_inputs(inputs))
        return outputs if len(outputs) > 1 else outputs[0]

    @classmethod
    def made_like(cls, model: keras.Model) -> keras.Model:
        """Returns a model of this class with the graph of another one."""
        outputs = model.outputs
        return cls(
            model.inputs[0],
            outputs if len(outputs) > 1 else outputs[0],
            name=model.name,
        )


def make_family(network, tokens=None):
    """Returns what knows the taps of a network."""
    blocks = token_families.find(network)
    if blocks is None:
        return families.GraphFamily(network, tokens)
    return families.BlockFamily(network, blocks)


def import_hub_for(config) -> None:
    """Imports KerasHub if a saved network needs it.

    Raises:
        ImportError: If it is not installed; the message says how to.
    """
    if f"'{HUB}" in str(config):
        import_hub("The backbone of this saved model needs")


def import_hub(purpose: str):
    """Imports KerasHub, which only the extra `hub` installs."""
    (module,) = _extras.import_extra([HUB], "hub", purpose)
    return module


def is_nested(layer) -> bool:
    """Tells whether a layer is a network kept whole."""
    return isinstance(layer, NestedNetwork)


def find_nested(model: keras.Model):
    """The network that a backbone keeps whole, or None.

    It gives the backbone's outputs; one with layers behind it is a layer like
    any other.
    """
    ends = {
        id(output._keras_history.operation): output._keras_history.operation
        for output in model.outputs
    }
    if len(ends) != 1:
        return None
    (end,) = ends.values()
    return end if is_nested(end) else None
