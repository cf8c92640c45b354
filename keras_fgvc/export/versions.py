"""The folders of one served model: `<model name>/1`, `/2` and so on."""

import pathlib


def next_version(folder) -> pathlib.Path:
    """The path of the next version of a served model.

    TF Serving watches a model's folder, loads the version with the highest
    number and lets the one before finish its requests. So a new export gets
    the next number and replaces nothing.

    Args:
        folder: The model's folder, `served/birds` for one. It may not exist
            yet.

    Returns:
        `folder/1`, or one more than the highest number there.

    Example:

    ```python
    from keras_fgvc import export

    path = export.next_version("served/birds")  # served/birds/1
    ```
    """
    folder = pathlib.Path(folder)
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    numbers = [int(name) for name in names if name.isdecimal()]
    return folder / str(max(numbers, default=0) + 1)
