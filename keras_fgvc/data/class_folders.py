"""Finding the images of a folder of class folders."""

import os
import pathlib

from keras_fgvc.data.rows import SPLIT_ALIASES, Row

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


def read_class_folders(root: str, log) -> list[Row]:
    """Lists `root/<split>/<class>/...` or, without splits, `root/<class>/...`.

    Folders inside a class folder are searched too. Hidden files are passed
    over; other files without the ending of an image are counted in a note.

    Args:
        root: Folder. With a folder `train` in it, the folders named train,
            validation (or val, valid) and test are its splits.
        log: `ProblemLog`; it is told of empty class folders.

    Raises:
        ValueError: There is no class folder.
    """
    root = pathlib.Path(root)
    if not (root / "train").is_dir():
        return _read_split(root, None, log)
    rows = []
    for folder in _folders(root):
        split = SPLIT_ALIASES.get(folder.name.lower())
        if split is None:
            log.notes.append(f"{folder} is not a split and was not read")
        else:
            rows.extend(_read_split(folder, split, log))
    return rows


def _read_split(folder, split, log) -> list[Row]:
    class_folders = _folders(folder)
    if not class_folders:
        raise ValueError(
            f"{folder} holds no class folders. Put the images into one "
            f"folder a class, such as {folder / 'sparrow' / '1.jpg'}, or "
            "list them in a split.csv (columns path, label, split)."
        )
    rows = []
    for class_folder in class_folders:
        paths = _images(class_folder, log)
        if not paths:
            log.add(class_folder, "empty class folder", "holds no image")
        rows.extend(Row(path, class_folder.name, split) for path in paths)
    return rows


def _folders(folder) -> list[pathlib.Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )


def _images(folder, log) -> list[str]:
    paths, num_others = [], 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                paths.append(os.path.join(parent, name))
            elif not name.startswith("."):
                num_others += 1
    if num_others:
        log.notes.append(
            f"{folder}: {num_others} file(s) were passed over; images end "
            f"in {', '.join(SUFFIXES)}"
        )
    return paths
