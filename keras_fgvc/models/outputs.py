"""Meanings of a model's outputs, declared once by the model.

A method names its outputs as its paper does. Evaluation, pictures, reports,
exports and the command line read the declaration, `model.output_meanings`, a
dict from the name of an output to one of the classes below, and never a name:

```
super().__init__(
    image,
    {"probabilities": probabilities, "where": box, "what": mean_map},
    num_classes=num_classes,
    output_meanings={
        "where": ObjectBox(cropped=True),
        "what": MapOf("boxes", "mean activation"),
    },
)
```

`"probabilities"` needs no declaration. An output that is not declared is
neither drawn nor evaluated. Boxes are `[y_min, x_min, y_max, x_max]`,
normalised to 0..1 of the image.
"""

import dataclasses

from keras_fgvc._checks import check_choice

SPANS = ("image", "boxes")


class Meaning:
    """Base of all meanings: what a shape and the titles must be."""

    @property
    def shape(self) -> tuple:
        """Returns the sizes of the axes; a text names an axis of any size."""
        raise NotImplementedError

    @property
    def titles(self) -> tuple[str, ...]:
        """Returns the names under which pictures show the output."""
        return ()


@dataclasses.dataclass(frozen=True)
class ObjectBox(Meaning):
    """Box of the object, one per image, `(batch, 1, 4)`.

    Args:
        cropped: Whether the model cuts this box out of the image before it
            classifies. Defaults to `False`.
    """

    cropped: bool = False
    shape = ("batch", 1, 4)

    @property
    def titles(self):
        return ("crop" if self.cropped else "object",)


@dataclasses.dataclass(frozen=True)
class PartBoxes(Meaning):
    """Boxes of parts, `(batch, parts, 4)`.

    Args:
        title: Name of the boxes in pictures. Defaults to `"parts"`.
        saliency: Whether pictures also show as a map how many of the boxes
            hold each place. Defaults to `False`.
    """

    title: str = "parts"
    saliency: bool = False
    shape = ("batch", "parts", 4)

    @property
    def titles(self):
        return (self.title,)


@dataclasses.dataclass(frozen=True)
class _SpanningMap(Meaning):
    span: str
    title: str = "heat map"

    def __post_init__(self):
        check_choice("span", self.span, SPANS)

    @property
    def of_crop(self) -> bool:
        """Returns whether it spans the crop, not the image."""
        return self.span == "boxes"

    @property
    def titles(self):
        return (self.title,)


@dataclasses.dataclass(frozen=True)
class MapOf(_SpanningMap):
    """Map that is high on the object, `(batch, height, width)`.

    Evaluation cuts the map at a threshold and compares the tight box of what
    is above the threshold with the true box.

    Args:
        span: `"image"` if the map spans the whole image, `"boxes"` if it
            spans what the model cut out by its `ObjectBox`.
        title: Name of the map in pictures. Defaults to `"heat map"`.

    Raises:
        ValueError: If `span` is neither.
    """

    shape = ("batch", "height", "width")


@dataclasses.dataclass(frozen=True)
class MapsOf(_SpanningMap):
    """Stack of maps, `(batch, height, width, maps)`, one per part or head.

    Pictures show each map. Evaluation takes none of them, because a part is
    not the object.

    Args:
        span: As for `MapOf`.
        title: Name of the maps in pictures, which number them. Defaults to
            `"heat map"`.

    Raises:
        ValueError: As for `MapOf`.
    """

    shape = ("batch", "height", "width", "maps")


@dataclasses.dataclass(frozen=True)
class _OfEnsemble(Meaning):
    names: tuple[str, ...]

    def __post_init__(self):
        # A list, as JSON has it, becomes a tuple.
        object.__setattr__(self, "names", _checked_names(self.names))

    @property
    def titles(self):
        return self.names


@dataclasses.dataclass(frozen=True)
class Members(_OfEnsemble):
    """Logits of the members of an ensemble, `(batch, members, classes)`.

    For an output of one member alone, `(batch, classes)`.

    Args:
        names: Names of the members, in the order of the axis.

    Raises:
        ValueError: If `names` is empty or no tuple of distinct texts.
    """

    @property
    def shape(self):
        if len(self.names) == 1:
            return ("batch", "classes")
        return ("batch", len(self.names), "classes")


@dataclasses.dataclass(frozen=True)
class Gates(_OfEnsemble):
    """Weights of the members of an ensemble, `(batch, members)`.

    Args:
        names: Names of the members, in the order of the axis.

    Raises:
        ValueError: If `names` is empty or no tuple of distinct texts.
    """

    @property
    def shape(self):
        return ("batch", len(self.names))


@dataclasses.dataclass(frozen=True)
class Embedding(Meaning):
    """Vector in which images of one class are close, `(batch, dim)`."""

    shape = ("batch", "dim")


KINDS = (ObjectBox, PartBoxes, MapOf, MapsOf, Members, Gates, Embedding)


def _checked_names(names):
    is_list = isinstance(names, (tuple, list)) and len(names) > 0
    if not is_list or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "`names` must be a tuple of at least one text. Received: "
            f"names={names!r}."
        )
    if len(set(names)) < len(names):
        raise ValueError(
            f"`names` must differ from one another. Received: names={names!r}."
        )
    return tuple(names)
