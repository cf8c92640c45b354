"""Reads and checks what a model declares about its outputs.

A declaration is a dict from the name of an output to its meaning, one of the
classes of `keras_fgvc.models.outputs`.
"""

import dataclasses

from keras_fgvc.models.outputs import (
    KINDS,
    Gates,
    MapOf,
    MapsOf,
    Meaning,
    Members,
    ObjectBox,
    PartBoxes,
)

# Kinds whose titles stand beside one another in a picture.
SHOWN_TOGETHER = (
    (ObjectBox, PartBoxes),
    (MapOf, MapsOf),
    (Members,),
    (Gates,),
)
# An export from before 0.9.0 does not say what its outputs mean. Answers of
# `keras-fgvc predict` keep the boxes that they had from such an export; users'
# scripts read them.
OLDER_EXPORTS = {"boxes": ObjectBox(), "part_boxes": PartBoxes()}


def declare_outputs(model, meanings: dict):
    """Declares what the outputs of a functional model mean.

    For a `keras.Model` that is not a `FineGrainedModel`, whose constructor
    takes `output_meanings`. A file of the model does not keep the
    declaration: declare again after loading.

    Args:
        model: A `keras.Model` made from inputs and a dict of outputs.
        meanings: From the name of an output to its `Meaning`.

    Returns:
        The model.

    Raises:
        TypeError: If a value is no `Meaning`.
        ValueError: If a name is no output, or an output has another shape.

    Example:

    ```python
    import keras
    from keras_fgvc.models.declaration import declare_outputs
    from keras_fgvc.models.outputs import MapOf

    image = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(8, 3, strides=4)(image)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    outputs = {
        "probabilities": keras.layers.Dense(2, "softmax")(pooled),
        "activity": keras.ops.mean(features, axis=-1),
    }
    model = keras.Model(image, outputs)
    declare_outputs(model, {"activity": MapOf("image", "activity")})
    ```
    """
    check_meanings(meanings, model.output)
    model.output_meanings = dict(meanings)
    return model


def meanings_of(model) -> dict:
    """Returns what a model declares; an empty dict for any other model."""
    return dict(getattr(model, "output_meanings", {}))


def check_meanings(meanings: dict, outputs: dict) -> None:
    """Raises unless each declaration fits the output of its name.

    Args:
        meanings: From the name of an output to its `Meaning`.
        outputs: Arrays or symbolic tensors by name.

    Raises:
        TypeError: If a value is no `Meaning`.
        ValueError: If `outputs` is no dict, a name is no output, an output
            has another shape, a map spans the crop of a model without one,
            there are two object boxes, or two outputs have the same title.
    """
    if not meanings:
        return
    if not isinstance(outputs, dict):
        raise ValueError(
            "A model whose outputs are declared must return a dict. Received: "
            f"{type(outputs).__name__}."
        )
    for name, meaning in meanings.items():
        if not isinstance(meaning, Meaning):
            raise TypeError(
                f"`output_meanings[{name!r}]` must be one of "
                f"{', '.join(kind.__name__ for kind in KINDS)} of "
                f"keras_fgvc.models.outputs. Received: {meaning!r}."
            )
        if name not in outputs:
            raise ValueError(
                "`output_meanings` must name outputs of the model, which are "
                f"{', '.join(outputs)}. Received: {name!r}."
            )
        _check_shape(name, meaning, outputs)
    _check_boxes(meanings)
    _check_titles(meanings)


def declared(meanings: dict, *kinds: type) -> dict:
    """Returns the part of a declaration that is of some kinds.

    Args:
        meanings: From the name of an output to its `Meaning`.
        *kinds: Classes of `keras_fgvc.models.outputs`.
    """
    return {n: m for n, m in meanings.items() if isinstance(m, kinds)}


def object_box(meanings: dict) -> str | None:
    """Returns the name of the output that is the object's box, or None."""
    return next(iter(declared(meanings, ObjectBox)), None)


def object_map(meanings: dict) -> str | None:
    """Returns the name of the first map of the image, or None."""
    maps = declared(meanings, MapOf).items()
    return next((name for name, m in maps if not m.of_crop), None)


def to_config(meanings: dict) -> dict:
    """Returns a declaration as JSON can hold it."""
    return {
        name: {"kind": type(meaning).__name__, **dataclasses.asdict(meaning)}
        for name, meaning in meanings.items()
    }


def from_config(config: dict) -> dict:
    """Returns the declaration that `to_config` was applied to.

    A kind that this version does not know is left out: the other outputs of a
    newer export can still be shown.
    """
    kinds = {kind.__name__: kind for kind in KINDS}
    return {
        name: kinds[fields["kind"]](
            **{key: fields[key] for key in fields if key != "kind"}
        )
        for name, fields in config.items()
        if fields["kind"] in kinds
    }


def _check_shape(name, meaning, outputs):
    known = {}
    if "probabilities" in outputs:
        known["classes"] = outputs["probabilities"].shape[-1]
    shape = tuple(getattr(outputs[name], "shape", ()))
    expected = tuple(known.get(size, size) for size in meaning.shape)
    fits = len(shape) == len(expected) and all(
        isinstance(size, str) or None in (size, found) or size == found
        for size, found in zip(expected, shape, strict=True)
    )
    if not fits:
        layout = ", ".join(map(str, meaning.shape))
        raise ValueError(
            f"The output {name!r} is declared as {meaning!r} and must have "
            f"shape ({layout}). Received: shape {shape}."
        )


def _check_boxes(meanings):
    boxes = declared(meanings, ObjectBox)
    if len(boxes) > 1:
        raise ValueError(
            "`output_meanings` must declare at most one `ObjectBox`. "
            f"Received: {', '.join(boxes)}."
        )
    cropped = any(box.cropped for box in boxes.values())
    for name, meaning in declared(meanings, MapOf, MapsOf).items():
        if meaning.of_crop and not cropped:
            raise ValueError(
                f"The output {name!r} is declared as a map of the crop, so "
                "another output must be declared as "
                f"ObjectBox(cropped=True). Received: {meaning!r}."
            )


def _check_titles(meanings):
    for kinds in SHOWN_TOGETHER:
        shown = [m for m in meanings.values() if isinstance(m, kinds)]
        titles = [title for meaning in shown for title in meaning.titles]
        for title in titles:
            if titles.count(title) > 1:
                raise ValueError(
                    "Outputs that are shown together must have different "
                    f"titles. Received: {title!r} twice."
                )
