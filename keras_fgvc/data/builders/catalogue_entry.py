"""Facts about a data set that are known before it is on disk."""

import dataclasses

from keras_fgvc._checks import check_choice
from keras_fgvc.data.builders.record_contents import Features

GENERATED, TFDS, OURS = "generated", "tfds", "ours"


@dataclasses.dataclass(frozen=True)
class CatalogueEntry:
    """One line of the table of data sets: published numbers and where from.

    `data.info` returns it for a data set that is not on disk.

    Args:
        name: What `open_dataset` and `load` call it.
        num_classes: Number of classes.
        split_sizes: Dictionary from "train", "validation" and "test" to the
            published number of images; empty where none are published.
        source: Who made it and where it comes from.
        licence: What one may do with it, as far as we know.
        how_to_get: What happens, or what to do, where it is not on disk.
        origin: "generated", "tfds" (a builder of TensorFlow Datasets) or
            "ours" (a builder of `keras_fgvc.data.builders`).
        builder: Name of the builder.
        variants: Dictionary from the names of variants, which follow `name`
            after a slash, to their number of classes. Default: none.
        variant: Name of the variant, or None.
        features: `Features` of its records.
        variant_label: Name of the feature with the label of a variant, where
            that is not `features.label`; `{variant}` stands for the variant.
        splits: Dictionary from our splits to the builder's.
        has_boxes: Whether there is a box for each image.
        urls: Dictionary from files to their addresses, where the builder
            does not know them.

    Raises:
        ValueError: `with_variant` does not know a variant.
    """

    name: str
    num_classes: int
    split_sizes: dict[str, int]
    source: str
    licence: str
    how_to_get: str
    origin: str = TFDS
    builder: str | None = None
    variants: dict[str, int] = dataclasses.field(default_factory=dict)
    variant: str | None = None
    features: Features = dataclasses.field(default_factory=Features)
    variant_label: str | None = None
    splits: dict[str, str] = dataclasses.field(
        default_factory=lambda: {"train": "train", "test": "test"}
    )
    has_boxes: bool = False
    urls: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def config(self) -> str | None:
        """The variant, where the builder has configs for them."""
        return self.variant if self.origin == OURS else None

    def with_variant(self, variant: str) -> "CatalogueEntry":
        """The entry of one variant, named `name/variant`."""
        check_choice("variant", variant, tuple(self.variants))
        features = self.features
        if self.variant_label:
            label = self.variant_label.format(variant=variant)
            features = dataclasses.replace(features, label=label)
        return dataclasses.replace(
            self,
            name=f"{self.name}/{variant}",
            num_classes=self.variants[variant],
            variant=variant,
            features=features,
        )

    def summary(self) -> str:
        """A small table, as of `LabeledImages.summary`."""
        boxes = ", with boxes" if self.has_boxes else ""
        lines = [
            f"{self.name}: {self.num_classes} classes (as published; not on "
            "disk)"
        ]
        for split, size in self.split_sizes.items():
            lines.append(f"  {split:<10} {size:>7} images{boxes}")
        lines.append(f"  source     {self.source}")
        lines.append(f"  licence    {self.licence}")
        lines.append(f"  get it     {self.how_to_get}")
        return "\n".join(lines)
