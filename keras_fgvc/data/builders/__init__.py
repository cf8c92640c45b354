"""Builders for TensorFlow Datasets, of data sets that it lacks.

```python
from keras_fgvc.data import builders

builder = builders.make("fgvc_aircraft", config="family")
builder.download_and_prepare()
train = builder.as_dataset(split="train")
```

Each file holds one builder. tensorflow_datasets is imported when a builder is
asked for, not before; from then on `tfds.load` knows it by its name too.
"""

import importlib

from keras_fgvc._checks import check_choice
from keras_fgvc._extras import import_extra

# Name -> name of its class, in the file of that name.
_CLASSES = {
    "adience": "Adience",
    "fgvc_aircraft": "FgvcAircraft",
    "nabirds": "NABirds",
    "stanford_cars": "StanfordCars",
    "uec_food100": "UecFood100",
}


def available() -> tuple[str, ...]:
    """The names that `find` and `make` know.

    Example:

    ```python
    from keras_fgvc.data import builders

    print(builders.available())  # ("adience", "fgvc_aircraft", ...)
    ```
    """
    return tuple(_CLASSES)


def find(name: str) -> type:
    """The class of a builder, a `tfds.core.GeneratorBasedBuilder`.

    Its docstring describes the data set, its `BUILDER_CONFIGS` are its
    variants, and its `MANUAL_DOWNLOAD_INSTRUCTIONS` say what to download.

    Args:
        name: One of `available()`.

    Raises:
        ValueError: An unknown name.
        ImportError: tensorflow_datasets is not installed.

    Example: `print(find("nabirds").MANUAL_DOWNLOAD_INSTRUCTIONS)`.
    """
    check_choice("name", name, available())
    import_extra(
        ["tensorflow_datasets"], "data", f'The data set "{name}" needs'
    )
    module = importlib.import_module(f"{__name__}.{name}")
    return getattr(module, _CLASSES[name])


def make(name: str, *, data_dir: str | None = None, config: str | None = None):
    """A builder, ready for `download_and_prepare` and `as_dataset`.

    Files that you download yourself belong into the folder that you name with
    `download_config=tfds.download.DownloadConfig(manual_dir=...)`, or into
    `downloads/manual` in `data_dir`.

    Args:
        name: One of `available()`.
        data_dir: Folder for what is prepared. Default: that of TensorFlow
            Datasets, ~/tensorflow_datasets.
        config: Name of a variant: "variant" (the default), "family" or
            "manufacturer" for "fgvc_aircraft"; "age_fold_0" (the default) to
            "gender_fold_4" for "adience". The others have none.

    Returns:
        `tfds.core.GeneratorBasedBuilder`. Its examples have "image",
        "image/filename", "label" and, but for "adience", "bbox"
        `[y_min, x_min, y_max, x_max]` in 0..1 of the image.

    Raises:
        ValueError: An unknown name or config.
        ImportError: tensorflow_datasets is not installed.

    Example: `make("nabirds", data_dir="data").download_and_prepare()`.
    """
    builder = find(name)
    configs = tuple(known.name for known in builder.BUILDER_CONFIGS)
    if config is not None:
        check_choice("config", config, configs)
    return builder(data_dir=data_dir, config=config)
