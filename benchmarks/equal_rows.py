"""The rows that equal_budget.py trains, and the two kinds of images."""

import dataclasses

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
        rates: To choose from, where not the setting's.
        head_rate: Of what is behind the backbone, where not the setting's.
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
    rates: tuple | None = None
    head_rate: float | None = None
    paper: tuple | None = None


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all rows have in common.

    Args:
        rows: From the name to the `Row`.
        image_size: Side of the images in pixels.
        batch_size: Images a step.
        epochs: Of the classifying network, over all stages.
        rates: To choose from, of the backbone.
        head_rate: Of what is behind it.
        augmentation: Of images, and of those that are given with regions.
        arguments: Of every model.
        clutter: Numbers of distractors to test with.
    """

    rows: dict
    image_size: int
    batch_size: int
    epochs: int
    rates: tuple
    head_rate: float | None
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
LONG_FEATURES = {"rates": (2.5e-5, 5e-5, 1e-4), "head_rate": 2e-4}


def changed(row, **changes):
    """A copy with other values; `arguments` are merged."""
    arguments = {**row.arguments, **changes.pop("arguments", {})}
    return dataclasses.replace(row, arguments=arguments, **changes)


def photographs():
    """MobileNetV2 at 160 pixels: maps of 5 x 5 cells."""
    elope = changed(ELOPE, load=10 / 7)
    # Finds its regions in an image of twice the side, a map of 10 cells.
    looking = {"part_sizes": (3, 5), "judge": "crops", "places": 4}
    looking |= {"num_samples": None}
    fcan = changed(FCAN, larger=2.0, arguments=looking)
    return Setting(
        rows={
            "Baseline": Row("Baseline"),
            # As many multiply-adds as a method that looks twice.
            "Baseline, 10/7 of the side": Row("Baseline", larger=10 / 7),
            "ELoPE": changed(elope, paper=(81.2, 87.4)),
            "ELoPE, average pooling": changed(
                elope,
                shares={"classifier": 4, "crops": 4},  # no rank to weigh
                arguments={"pooling": "average"},
            ),
            "ELoPE, no localiser": Row(  # at the rate that ELoPE chose
                "ELoPE", arguments={"localize": False}, rates=(1e-4,)
            ),
            "PainlessAttention": Row("PainlessAttention", paper=(81.0, 82.0)),
            "Coarse2Fine": changed(
                COARSE2FINE,
                arguments={"tap": 32},
                paper=(83.7, 89.5),
                **LONG_FEATURES,
            ),
            "Coarse2Fine, shorter features": changed(  # at the rates of all
                COARSE2FINE, arguments={"tap": 32, "scale": 30.0}
            ),
            "Coarse2Fine, stride 16": changed(COARSE2FINE, **LONG_FEATURES),
            "FCAN": changed(fcan, paper=(77.6, 82.0)),
            "FCAN, fixed regions": changed(  # at the rate that FCAN chose
                fcan,
                before={},
                arguments={"regions": "center"},
                rates=(5e-5,),
            ),
            "DAF": Row("DAF", paper=(83.5, 89.1)),
        },
        image_size=160,
        batch_size=16,
        epochs=6,
        rates=(5e-5, 1e-4, 2e-4),
        head_rate=2e-3,
        augmentation=(
            Augmentation(
                random_crop=(CROP_SHARE, CROP_SHARE), horizontal_flip=True
            ),
            # A crop might cut the regions off.
            Augmentation(horizontal_flip=True),
        ),
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
                COARSE2FINE, arguments={"tap": 8}, rates=(5e-4, 1e-3, 2e-3)
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
        rates=(2e-3, 4e-3, 8e-3),
        head_rate=None,
        augmentation=(no_augmentation, no_augmentation),
        arguments={"batch_norm": "train"},
        clutter=(4, 8, 16, 32, 64),
    )  # fmt: skip


SETTINGS = {"photographs": photographs, "digits": digits}


def make_recipe(setting, name, rate, epochs):
    """The recipe of a row at a learning rate of the backbone."""
    row = setting.rows[name]
    head_rate = row.head_rate or setting.head_rate
    factor = head_rate / rate if head_rate else 1.0
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
        stages=tuple(_stages(setting, row, rate, factor, epochs)),
        arguments=arguments,
    )


def _stages(setting, row, rate, factor, epochs):
    """Every stage in order; each behind the first at half the last's rate."""
    left = epochs
    for place, (name, share) in enumerate(row.shares.items()):
        if name in row.before:
            before = row.before[name]
            count = max(1, before.epochs * epochs // setting.epochs)
            yield dataclasses.replace(before, epochs=count)
        last = place == len(row.shares) - 1
        count = left if last else max(1, epochs * share // PARTS)
        left -= count
        yield Stage(
            name,
            epochs=count,
            learning_rate=0.5**place * rate,
            head_rate=factor,
            optimizer="adam",
            schedule="cosine",
            augmentation=setting.augmentation[name == "parts"],
        )
