import math

import keras
from keras import ops

from keras_fgvc._checks import (
    as_choice,
    as_int,
    as_plain,
    check_choice,
    check_rank,
)
from keras_fgvc.ops import confidence_gates, mix_hypotheses
from keras_fgvc.ops._precision import wide_dtype
from keras_fgvc.ops.gating import MIXES


@keras.saving.register_keras_serializable(package="keras_fgvc")
class GatedOutputHeads(keras.layers.Layer):
    """Each attention head names a class; gates weigh them with the network's.

    With H_k the attended features of head k, and the network's own features
    and logits in the last place:

        F(H_k) = W_F H_k, channel by channel, or H_k
        o_k = F(H_k) W_O,k                                           (eq. 6)
        c_k = tanh(F(H_k) W_G,k)                                     (eq. 7)
        g = softmax(c)                                               (eq. 8)
        output = g_net output_net + sum_k g_k o_k                    (eq. 9)

    The gates start equal (`W_G` at zero), the reduction at the identity
    (`W_F` at one). A gate's input is not changed by what it weighs: with all
    attention gates at 0 and the network's at 1 the output is the network's.

    Source: "A Painless Attention Mechanism for Convolutional Neural
    Networks", 2018, https://openreview.net/forum?id=rJe7FW-Cb, sections 3.3
    and 3.4.

    Args:
        num_classes: Integer, the number of classes.
        reduction: `"projection"` (default, the paper's better one: one
            learned weight a channel, shared by a module's heads) or
            `"average"` (none).
        gates: Whether confidences are learned. Defaults to `True`; `False`
            averages, the paper's ablation.
        mix: What is weighed, `"logits"` (default) or `"probabilities"`; see
            `ops.mix_hypotheses`.
        temperature: Of the gates' softmax, see `ops.confidence_gates`.
            Defaults to 1, the paper's.
        **kwargs: `name`, `dtype` and the like, as for any Keras layer.

    Call arguments:
        attended: Attended features of one attention module, or a list of
            such tensors, one a module.
        features: What the network's own classifier sees.
        logits: The network's own.
        return_gates: Whether gates and hypotheses come back too.

    Input shape:
        attended `(batch, heads, channels)` each, features `(batch, dim)`,
        logits `(batch, num_classes)`; the batch may be unknown.

    Output shape:
        `(batch, num_classes)` logits in float32; with `return_gates` a tuple
        of those, the gates `(batch, 1 + all heads)` and the hypotheses
        `(batch, 1 + all heads, num_classes)`, the network's first.

    Raises:
        ValueError: If an argument or a shape is not as described.

    Example:

    ```python
    import keras
    from keras_fgvc.layers import GatedOutputHeads, SpatialSoftmaxAttention

    maps = keras.Input((14, 14, 64))
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    logits = keras.layers.Dense(200)(pooled)
    attended = SpatialSoftmaxAttention(num_heads=2)(maps)
    mixed = GatedOutputHeads(200)(attended, pooled, logits)
    model = keras.Model(maps, mixed)
    ```
    """

    def __init__(
        self,
        num_classes: int,
        *,
        reduction: str = "projection",
        gates: bool = True,
        mix: str = "logits",
        temperature: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        num_classes = as_int("num_classes", num_classes, minimum=2)
        reduction = as_choice("reduction", reduction, ("projection", "average"))
        check_choice("mix", mix, MIXES)
        if not temperature > 0:
            raise ValueError(
                "`temperature` must be above 0. "
                f"Received: temperature={temperature}."
            )
        self.num_classes = num_classes
        self.reduction = reduction
        self.gates = gates
        self.mix = mix
        self.temperature = as_plain(temperature)

    def build(self, attended_shape, features_shape, logits_shape):
        check_rank("features", features_shape, 2, "(batch, dim)")
        if tuple(logits_shape[1:]) != (self.num_classes,):
            raise ValueError(
                f"`logits` must be (batch, {self.num_classes}), as "
                f"num_classes={self.num_classes}. "
                f"Received: shape {tuple(logits_shape)}."
            )
        self.modules = [
            self._build_module(number, shape)
            for number, shape in enumerate(_as_list(attended_shape))
        ]
        self.network_gate = self._add_gate("network_gate", features_shape[-1:])

    def _build_module(self, number, shape):
        check_rank("attended", shape, 3, "(batch, heads, channels)")
        _, heads, channels = shape
        module = {
            # Each head's fan-in is its channels: Keras would count its heads.
            "kernel": self.add_weight(
                shape=(heads, channels, self.num_classes),
                initializer=_glorot(channels, self.num_classes),
                name=f"kernel_{number}",
            ),
            "bias": self.add_weight(
                shape=(heads, self.num_classes),
                initializer="zeros",
                name=f"bias_{number}",
            ),
            "gate": self._add_gate(f"gate_{number}", (heads, channels)),
        }
        if self.reduction == "projection":
            module["reduction"] = self.add_weight(
                shape=(channels,),
                initializer="ones",
                name=f"reduction_{number}",
            )
        return module

    def _add_gate(self, name, shape):
        if not self.gates:
            return None
        return self.add_weight(shape=shape, initializer="zeros", name=name)

    def call(self, attended, features, logits, return_gates=False):
        hypotheses = [ops.expand_dims(logits, 1)]
        scores = [self._score("bc,c->b", features, self.network_gate)]
        scores[0] = ops.expand_dims(scores[0], 1)
        pairs = zip(self.modules, _as_list(attended), strict=True)
        for module, tensor in pairs:
            if self.reduction == "projection":
                tensor = tensor * _value(module["reduction"])
            hypothesis = ops.einsum(
                "bkc,kco->bko", tensor, _value(module["kernel"])
            )
            hypotheses.append(hypothesis + _value(module["bias"]))
            scores.append(self._score("bkc,kc->bk", tensor, module["gate"]))
        hypotheses = ops.concatenate(hypotheses, axis=1)
        gates = confidence_gates(
            ops.concatenate(scores, axis=1), self.temperature
        )
        mixed = mix_hypotheses(hypotheses, gates, self.mix)
        return (mixed, gates, hypotheses) if return_gates else mixed

    def _score(self, equation, features, weights):
        if weights is None:  # equal scores: the gates average
            return ops.zeros_like(features[..., 0])
        return ops.einsum(equation, features, _value(weights))

    def compute_output_shape(
        self, attended_shape, features_shape, logits_shape
    ):
        return tuple(logits_shape)

    def compute_output_spec(
        self, attended, features, logits, return_gates=False
    ):
        dtype = wide_dtype(self.compute_dtype)
        mixed = keras.KerasTensor(logits.shape, dtype)
        if not return_gates:
            return mixed
        heads = sum(tensor.shape[1] for tensor in _as_list(attended))
        gates = (logits.shape[0], 1 + heads)
        return (
            mixed,
            keras.KerasTensor(gates, dtype),
            keras.KerasTensor((*gates, self.num_classes), self.compute_dtype),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "reduction": self.reduction,
            "gates": self.gates,
            "mix": self.mix,
            "temperature": self.temperature,
        }


def _value(variable):
    # The variable itself cannot enter jitted JAX code.
    return ops.convert_to_tensor(variable)


def _as_list(attended):
    """A list of tensors or shapes from one or several of them."""
    # A shape, too, is a tuple, or a list in a saved file: its first entry is
    # a number or None.
    several = isinstance(attended, (list, tuple)) and not (
        attended[0] is None or isinstance(attended[0], int)
    )
    return list(attended) if several else [attended]


def _glorot(fan_in, fan_out):
    limit = math.sqrt(6.0 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-limit, limit)
