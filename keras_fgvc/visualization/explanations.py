"""Explains what a model saw in each image, alike for every method."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_fgvc._checks import check_finite_answers, check_positive_int
from keras_fgvc.models.declaration import check_meanings, meanings_of
from keras_fgvc.visualization.model_outputs import (
    read_boxes,
    read_gates,
    read_maps,
    read_members,
)

BATCH_SIZE = 16


class TopClass(NamedTuple):
    """A class and how probable it is said to be.

    Args:
        label: Index of the class.
        name: Its name.
        probability: From 0 to 1.
    """

    label: int
    name: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Explanation of one image by a model.

    Args:
        top: The most probable classes, `TopClass` each, best first.
        maps: From a title to a map `(i, j)` that spans the whole image and
            is high where the model looked; NaN where it saw nothing of the
            image.
        boxes: From a title to boxes `(k, 4)`, `[y_min, x_min, y_max, x_max]`
            from 0 to 1.
        gates: From the members of a prediction to their weights, where the
            model weighs them; the sum is 1.
        members: From those who made a prediction together (network and
            attention heads, views, looks, student and teacher) to the
            `TopClass` that each alone would say.
    """

    top: tuple[TopClass, ...]
    maps: dict[str, np.ndarray]
    boxes: dict[str, np.ndarray]
    gates: dict[str, float]
    members: dict[str, TopClass]


def explain(
    model, images, *, class_names=None, num_top: int = 3
) -> list[Explanation]:
    """Runs a model and tells what it looked at, for any method.

    Maps, boxes, gates and members are the outputs that the model declares in
    its `output_meanings`; see `keras_fgvc.models.outputs`. A model without a
    declaration has its most probable classes alone.

    Args:
        model: A `keras.Model` that returns a dict with `"probabilities"`.
        images: `(n, height, width, 3)`, raw pixels 0..255.
        class_names: A name for each label. Defaults to `"class 0"` and so on.
        num_top: How many of the most probable classes are told.

    Returns:
        One `Explanation` an image.

    Raises:
        ValueError: If the model has no `"probabilities"`, its declaration
            does not fit its outputs, they are not finite, or images or names
            are not as described.

    Example:

    ```python
    import numpy as np
    from keras_fgvc import visualization
    from keras_fgvc.models import ELoPE

    model = ELoPE("mobilenet_v2", 4, image_size=64, weights=None)
    photos = np.random.randint(0, 256, (2, 96, 96, 3), "uint8")
    explanations = visualization.explain(model, photos)
    print(explanations[0].top[0].name, list(explanations[0].maps))
    visualization.save_explanations("seen.png", photos, explanations)
    ```
    """
    check_positive_int("num_top", num_top)
    outputs = _predict(model, images)
    probabilities = outputs["probabilities"]
    names = names_of(class_names, probabilities.shape[1])
    meanings = meanings_of(model)
    check_meanings(meanings, outputs)
    maps, boxes = read_maps(meanings, outputs), read_boxes(meanings, outputs)
    gates = read_gates(meanings, outputs)
    members = read_members(meanings, outputs)
    return [
        Explanation(
            top=_top(probabilities[n], names, num_top),
            maps={title: values[n] for title, values in maps.items()},
            boxes={title: values[n] for title, values in boxes.items()},
            gates={name: float(values[n]) for name, values in gates.items()},
            members={
                name: _top(_softmax(logits[n]), names, 1)[0]
                for name, logits in members.items()
            },
        )
        for n in range(len(probabilities))
    ]


def member_bars(explanation, label):
    """Returns each member's answer, as texts and bars.

    Args:
        explanation: An `Explanation`.
        label: The true class, or None.

    Returns:
        What a bar's length is, and triples: a text, a share from 0 to 1,
        whether the member says the true class.
    """
    gates, members = explanation.gates, explanation.members
    if not members:  # a model that tells its weights alone
        return "weight", [(name, share, False) for name, share in gates.items()]
    return "weight" if gates else "how sure", [
        (
            f"{name}: {said.name}",
            gates.get(name, said.probability),
            said.label == label,
        )
        for name, said in members.items()
    ]


def names_of(class_names, count) -> list[str]:
    """The names of `count` classes, made up where there are none.

    Raises:
        ValueError: If there are more or fewer names.
    """
    if class_names is None:
        return [f"class {label}" for label in range(count)]
    if len(class_names) != count:
        raise ValueError(
            f"`class_names` must name the model's {count} classes. "
            f"Received: {len(class_names)} names."
        )
    return [str(name) for name in class_names]


def _predict(model, images):
    """The outputs by name, float32."""
    shape = np.shape(images)
    if len(shape) != 4 or shape[0] == 0:
        raise ValueError(
            "`images` must be (n, height, width, 3) with at least one image. "
            f"Received: shape {shape}."
        )
    outputs = model.predict(np.asarray(images), BATCH_SIZE, verbose=0)
    if not isinstance(outputs, dict) or "probabilities" not in outputs:
        found = (
            f"a dict with {', '.join(sorted(outputs))}"
            if isinstance(outputs, dict)
            else f"a {type(outputs).__name__}"
        )
        raise ValueError(
            '`model` must return a dict with "probabilities" (batch, '
            f"classes). Received: {found}. For your own model: "
            'keras.Model(inputs, {"probabilities": ...}).'
        )
    check_finite_answers("probabilities", outputs["probabilities"])
    return {
        name: np.asarray(value, "float32")
        for name, value in outputs.items()
        if hasattr(value, "shape")  # a model of your own may nest others
    }


def _top(probabilities, names, count):
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple(
        TopClass(int(label), names[label], float(probabilities[label]))
        for label in order
    )


def _softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()
