"""Painless attention: masks on any layers, gated with the network's output.

"A Painless Attention Mechanism for Convolutional Neural Networks", 2018,
https://openreview.net/forum?id=rJe7FW-Cb.

| paper          | here                                 | where           |
|----------------|--------------------------------------|-----------------|
| AD, AW         | length of `taps`, `num_heads`        | section 3.2     |
| Z, W_H, M      | taps, `attention_n`, `"masks_n"`     | eq. 1, 2        |
| L_R, gamma     | `mask_diversity`, `diversity_weight` | eq. 3, 4        |
| F, W_F         | `reduction`                          | eq. 5           |
| W_O, o         | `heads`, `"hypotheses"`              | eq. 6           |
| W_G, g         | `heads`, `"gates"`                   | eq. 7, 8        |

```
image (b, H, W, 3)
  -> features   -> one map (b, h_n, w_n, c_n) each of taps, and the last
  -> last map   -> pooled (b, c) -> network_logits (b, classes)
  -> attention_n-> masks_n (b, h_n, w_n, num_heads), attended (b, heads, c_n)
  -> heads      -> gates, hypotheses -> logits -> probabilities (b, classes)
```
"""

import keras

from keras_fgvc import backbones
from keras_fgvc._checks import check_in_range, check_positive_int
from keras_fgvc.backbones.own_models import image_input
from keras_fgvc.layers import GatedOutputHeads, SpatialSoftmaxAttention
from keras_fgvc.losses import mask_diversity
from keras_fgvc.models._classification import (
    check_model_arguments,
    cross_entropy,
)
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.outputs import Gates, MapOf, MapsOf, Members
from keras_fgvc.models.painless_attention.phases import make_phases
from keras_fgvc.models.painless_attention.recipes import RECIPES
from keras_fgvc.models.registry import register_method


@register_method("painless", recipes=RECIPES)
@keras.saving.register_keras_serializable(package="keras_fgvc")
class PainlessAttention(FineGrainedModel):
    """A few masks on layers that the backbone has anyway; one pass, one loss.

    The loss is the cross-entropy of the gated sum plus
    `diversity_weight * mask_diversity` (eq. 4), each module's masks compared
    among themselves. A table of the paper's ablation in arguments: AD is
    `len(taps)`, AW `num_heads`, then `gates`, `mask` and
    `diversity_weight=0`.

    Args:
        backbone: A name of `keras_fgvc.backbones.available()` or any
            `keras.Model` from raw pixels 0..255 to feature maps.
        num_classes: Integer, the number of classes.
        taps: Strides or layer names of the maps that get attention.
            Defaults to `(16, 32)`, the last two that halve the image.
        num_heads: Masks a map. Defaults to 2.
        kernel_size, mask, kernel_initializer: See `SpatialSoftmaxAttention`.
        reduction, gates, mix, temperature: See `GatedOutputHeads`.
        diversity_weight: Weight of the masks' overlap (gamma). Defaults to
            0.1.
        tap: Stride or layer name of the map that the network's own classifier
            pools. Defaults to 32.
        weights: Of a named backbone: `"imagenet"` (default), `None` for random
            ones, or a local file.
        batch_norm: `"frozen"` (default) or `"train"`, of the backbone.
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
        `"probabilities"`, `"logits"` `(batch, classes)`; `"network_logits"`
        `(batch, classes)`; `"gates"` `(batch, 1 + heads)` and `"hypotheses"`
        `(batch, 1 + heads, classes)`, the network's first;
        `"masks_0"`, `"masks_1"` and so on in the order of `taps`,
        `(batch, h, w, num_heads)`; `"mean_activation"` `(batch, i, j)`.

    Raises:
        ValueError: If an argument is not as described.

    Example:

    ```python
    from keras_fgvc.models import PainlessAttention

    model = PainlessAttention("mobilenet_v2", num_classes=200, weights=None)
    model.compile("adam", metrics=["accuracy"])
    ```
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        taps: tuple = (16, 32),
        num_heads: int = 2,
        kernel_size: int = 1,
        mask: str = "softmax",
        kernel_initializer="glorot_uniform",
        reduction: str = "projection",
        gates: bool = True,
        mix: str = "logits",
        temperature: float = 1.0,
        diversity_weight: float = 0.1,
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
        check_positive_int("num_heads", num_heads)
        check_in_range("diversity_weight", diversity_weight, 0.0, float("inf"))
        taps = _checked(taps)

        # ---- graph ----
        features, image, maps = _feature_maps(
            backbone,
            (*taps, tap),
            weights=weights,
            batch_norm=batch_norm,
            output_stride=output_stride,
            preprocessing=preprocessing,
            tokens=tokens,
            trainable=trainable,
            remat=remat,
        )
        attended, outputs = _attend(
            [maps[each] for each in taps],
            num_heads=num_heads,
            kernel_size=kernel_size,
            mask=mask,
            kernel_initializer=kernel_initializer,
            diversity_weight=0.0,  # a loss term of its own, see loss_terms
        )
        pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(maps[tap])
        network = keras.layers.Dense(num_classes, name="network_logits")(pooled)
        heads = GatedOutputHeads(
            num_classes,
            reduction=reduction,
            gates=gates,
            mix=mix,
            temperature=temperature,
            name="heads",
        )
        logits, gate_values, hypotheses = heads(
            attended, pooled, network, return_gates=True
        )
        outputs |= {
            "probabilities": keras.layers.Softmax(
                dtype="float32", name="probabilities"
            )(logits),
            "logits": logits,
            "network_logits": network,
            "gates": gate_values,
            "hypotheses": hypotheses,
            "mean_activation": keras.ops.mean(maps[tap], axis=-1),
        }
        super().__init__(
            image,
            outputs,
            num_classes=num_classes,
            output_meanings=_meanings(len(taps), num_heads),
            **kwargs,
        )
        self.features = features

    def phases(self):
        """See `FineGrainedModel.phases`."""
        return make_phases(self)

    @classmethod
    def _with_new_names(cls, config):
        """Files from before 0.9 say `attend_at` for `taps`."""
        if "attend_at" in config:
            config["taps"] = config.pop("attend_at")
        return config

    def loss_terms(self, labels, outputs, training):
        terms = {"cross_entropy": cross_entropy(labels, outputs["logits"])}
        if "mask_diversity" in self.loss_weights:
            terms["mask_diversity"] = sum(
                mask_diversity(outputs[f"masks_{n}"])
                for n in range(len(self.taps))
            )
        return terms


def _checked(taps):
    if not isinstance(taps, (tuple, list)) or not taps:
        raise ValueError(
            "`taps` must be a tuple of strides or layer names with at "
            f"least one entry, such as (16, 32). Received: {taps!r}."
        )
    if len(set(taps)) < len(taps):
        raise ValueError(f"`taps` must name each map once. Received: {taps}.")
    return tuple(taps)


def _feature_maps(backbone, taps, **options):
    """The backbone, its image input, and its map at each tap."""
    taps = tuple(dict.fromkeys(taps))
    features = backbones.build(backbone, taps=taps, name="features", **options)
    image = image_input(features)
    maps = features(image)
    maps = maps if isinstance(maps, (list, tuple)) else [maps]
    return features, image, dict(zip(taps, maps, strict=True))


def _attend(maps, **options):
    """Attended features of each map, and its masks by output name."""
    attended, outputs = [], {}
    for number, feature_map in enumerate(maps):
        layer = SpatialSoftmaxAttention(name=f"attention_{number}", **options)
        pooled, masks = layer(feature_map, return_masks=True)
        attended.append(pooled)
        outputs[f"masks_{number}"] = masks
    return attended, outputs


def _meanings(num_modules, num_heads):
    """Declares the outputs: each head of each module is a member."""
    found = {"mean_activation": MapOf("image", "mean activation")}
    names = ["network"]
    for number in range(num_modules):
        title = f"module {number + 1}, head"
        found[f"masks_{number}"] = MapsOf("image", title)
        names += [f"{title} {head + 1}" for head in range(num_heads)]
    found["gates"] = Gates(names)
    found["hypotheses"] = Members(names)
    return found
