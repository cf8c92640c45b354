"""The rows that equal_budget.py trains, and the two kinds of images."""

import dataclasses

from equal_search import Rates

from keras_fgvc.data import Augmentation
from keras_fgvc.recipes import Recipe, Stage

# Crops of 224 x 224 out of 256 x 256 pixels.
CROP_SHARE = (224 / 256) ** 2
PARTS = 8  # shares of the budget are counted in eighths


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Args:
        method: Name of a class of `keras_fgvc.models`.
        shares: From each stage that teaches the classifier to its share of
            the epochs, in eighths.
        before: From a stage to the one that prepares it.
        larger: The image that the model gets has this multiple of the side.
        load: Images are loaded at this multiple of that; crops are sharper.
        arguments: Of the model.
        start: `Rates` to search from, where not the setting's.
        rates_of: Name of the row whose rates are taken, of a control.
        control: Name of the row that has the same pixels, networks and passes,
            but not the idea.
        passes: Multiple of the setting's passes.
        networks: How many networks are trained, whose answers are averaged.
        region: What every image is cut to before, see `equal_images.cut`.
        paper: Top-1 that its paper has on birds in %, without and with it.
    """

    method: str
    shares: dict = dataclasses.field(
        default_factory=lambda: {"classifier": PARTS}
    )
    before: dict = dataclasses.field(default_factory=dict)
    larger: float = 1.0
    load: float = 1.0
    arguments: dict = dataclasses.field(default_factory=dict)
    start: Rates | None = None
    rates_of: str | None = None
    control: str | None = None
    passes: int = 1
    networks: int = 1
    region: str | None = None
    paper: tuple | None = None


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all rows have in common.

    Args:
        rows: From the name to the `Row`.
        image_size: Side of the images in pixels.
        batch_size: Images a step.
        epochs: Passes of the classifying network, over all stages.
        start: `Rates` that each row's search begins with.
        augmentation: Of images, and of those that are given with regions.
        arguments: Of every model.
        clutter: Numbers of distractors to test with.
    """

    rows: dict
    image_size: int
    batch_size: int
    epochs: int
    start: Rates
    augmentation: tuple
    arguments: dict = dataclasses.field(default_factory=dict)
    clutter: tuple = ()


def preparing(name, monitor, **changes):
    return Stage(
        name,
        learning_rate=1e-3,
        optimizer="adam",
        monitor=monitor,
        **{"schedule": "cosine", **changes},
    )


LOCALIZER = preparing("localizer", "val_loss", epochs=8)
GLIMPSES = preparing("localizer", "val_reward_lead", epochs=6, batch_size=64)
UPSAMPLER = preparing("upsampler", "val_loss", epochs=1, num_examples=2_000)
ELOPE = Row(
    "ELoPE",
    shares={"classifier": 4, "crops": 3, "weighted": 1},
    before={"crops": LOCALIZER},
)
FCAN = Row("FCAN", shares={"whole": 4, "parts": 4}, before={"parts": GLIMPSES})
COARSE2FINE = Row("Coarse2Fine", before={"classifier": UPSAMPLER})
# Coarse2Fine's classifiers see parts a hundred times as long as others.
LONG_FEATURES = Rates(5e-5, 2e-4)


def changed(row, **changes):
    """A copy with other values; `arguments` are merged."""
    arguments = {**row.arguments, **changes.pop("arguments", {})}
    return dataclasses.replace(row, arguments=arguments, **changes)


def photographs():
    """MobileNetV2 at 224 pixels and stride 16: maps of 14 x 14 cells."""
    elope = changed(ELOPE, load=10 / 7, control="ELoPE, centred box")
    # Finds its regions in an image of twice the side, where a stride of 32
    # gives as many cells.
    fcan = changed(
        FCAN,
        larger=2.0,
        arguments={
            "part_sizes": (4, 7),
            "output_stride": None,
            "judge": "crops",
            "places": 4,
            "num_samples": None,
        },
        control="FCAN, fixed regions",
    )
    return Setting(
        rows={
            "Baseline": Row("Baseline"),
            "Baseline, 7 x 7 cells": Row(
                "Baseline", arguments={"output_stride": None}
            ),
            # As many multiply-adds as a method that looks twice.
            "Baseline, 10/7 of the side": Row(
                "Baseline", larger=10 / 7, rates_of="Baseline"
            ),
            "Baseline, twice the passes": Row(
                "Baseline", passes=2, rates_of="Baseline"
            ),
            "Baseline, four times the passes": Row(
                "Baseline", passes=4, rates_of="Baseline"
            ),
            "two Baselines": Row("Baseline", networks=2, rates_of="Baseline"),
            "Baseline, middle of the images": Row(
                "Baseline", region="center", rates_of="Baseline"
            ),
            "Baseline, true boxes": Row(
                "Baseline", region="boxes", rates_of="Baseline"
            ),
            "ELoPE": changed(elope, paper=(81.2, 87.4)),
            "ELoPE, centred box": changed(
                elope,
                before={},
                arguments={"box": "center"},
                rates_of="ELoPE",
                control=None,
            ),
            "ELoPE, average pooling": changed(
                elope,
                shares={"classifier": 4, "crops": 4},  # no rank to weigh
                arguments={"pooling": "average"},
            ),
            "ELoPE, no localiser": Row(
                "ELoPE",
                arguments={"localize": False},
                rates_of="ELoPE",
                control="Baseline",
            ),
            "PainlessAttention": Row(
                "PainlessAttention", control="Baseline", paper=(81.0, 82.0)
            ),
            "Coarse2Fine": changed(
                COARSE2FINE,
                start=LONG_FEATURES,
                control="Baseline, twice the passes",
                paper=(83.7, 89.5),
            ),
            "FCAN": changed(fcan, paper=(77.6, 82.0)),
            "FCAN, fixed regions": changed(
                fcan,
                before={},
                arguments={"regions": "center"},
                rates_of="FCAN",
                control=None,
            ),
            "DAF": Row("DAF", control="two Baselines", paper=(83.5, 89.1)),
        },
        image_size=224,
        batch_size=16,
        epochs=6,
        start=Rates(1e-4, 1e-3),
        augmentation=(
            Augmentation(
                random_crop=(CROP_SHARE, CROP_SHARE), horizontal_flip=True
            ),
            # A crop might cut the regions off.
            Augmentation(horizontal_flip=True),
        ),
        arguments={"output_stride": 16},
    )


def digits():
    """Four convolutions from scratch at 64 pixels: maps of 8 x 8 cells."""
    no_augmentation = Augmentation()  # a turned 6 is a 9
    elope = changed(ELOPE, arguments={"tap": 8, "embedding_dim": 64})
    return Setting(
        rows={
            "Baseline": Row("Baseline", arguments={"tap": 8}),
            "ELoPE": elope,
            "PainlessAttention": Row(
                "PainlessAttention", arguments={"tap": 8, "taps": (4, 8)}
            ),
            # From 2e-3 to 8e-3 it learns the slower the higher the rate.
            "Coarse2Fine": changed(
                COARSE2FINE, arguments={"tap": 8}, start=Rates(1e-3, None)
            ),
            "FCAN": changed(
                FCAN,
                arguments={
                    "taps": (8, 8), "part_sizes": (3, 5),
                },
            ),
            "DAF": Row("DAF", arguments={"taps": ("map_1", "map_2", 8)}),
        },
        image_size=64,
        batch_size=50,
        epochs=8,
        start=Rates(4e-3, None),
        augmentation=(no_augmentation, no_augmentation),
        arguments={"batch_norm": "train"},
        clutter=(4, 8, 16, 32, 64),
    )  # fmt: skip


SETTINGS = {"photographs": photographs, "digits": digits}


def make_recipe(setting, name, rates, epochs):
    """The recipe of a row at its learning rates."""
    row = setting.rows[name]
    side = round(row.larger * setting.image_size)
    arguments = {**setting.arguments, **row.arguments}
    if row.method == "FCAN":
        arguments["crop_size"] = setting.image_size
    return Recipe(
        name=f"equal-{name}",
        method=row.method,
        image_size=side,
        load_size=round(row.load * side),
        batch_size=setting.batch_size,
        stages=tuple(_stages(setting, row, rates, row.passes * epochs)),
        arguments=arguments,
    )


def _stages(setting, row, rates, epochs):
    """Every stage in order; each behind the first at half the last's rate."""
    left, all_epochs = epochs, row.passes * setting.epochs
    factor = rates.head / rates.backbone if rates.head else 1.0
    for place, (name, share) in enumerate(row.shares.items()):
        if name in row.before:
            before = row.before[name]
            count = max(1, before.epochs * epochs // all_epochs)
            yield dataclasses.replace(before, epochs=count)
        last = place == len(row.shares) - 1
        count = left if last else max(1, epochs * share // PARTS)
        left -= count
        yield Stage(
            name,
            epochs=count,
            learning_rate=0.5**place * rates.backbone,
            head_rate=factor,
            optimizer="adam",
            schedule="cosine",
            augmentation=setting.augmentation[name == "parts"],
        )
