"""Finding the images of a folder of class folders."""

import os
import pathlib

from keras_fgvc.data.rows import SPLIT_ALIASES, Row

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
HIDDEN = (".", "__")  # what the names of folders of other programs begin with


def read_class_folders(root: str, log) -> list[Row]:
    """Lists `root/<split>/<class>/...` or, without splits, `root/<class>/...`.

    Folders inside a class folder are searched too. Hidden files and folders
    are passed over; other files without the ending of an image are counted in
    a note.

    Args:
        root: Folder. With a folder `train` of class folders in it, the folders
            named train, validation (or val, valid) and test are its splits,
            in capitals or not.
        log: `ProblemLog`; it is told of empty class folders.

    Raises:
        ValueError: There is no class folder.
    """
    root = pathlib.Path(root)
    if not _has_splits(root):
        return _read_split(root, None, log)
    rows = []
    for folder in _folders(root):
        split = _split_of(folder)
        if split is None:
            log.notes.append(f"{folder} is not a split and was not read")
        else:
            rows.extend(_read_split(folder, split, log))
    return rows


def _has_splits(root) -> bool:
    """Whether `train` is a split: among vehicles it is one of the classes."""
    splits = {_split_of(folder): folder for folder in _folders(root)}
    if "train" not in splits:
        return False
    return None not in splits or bool(_folders(splits["train"]))


def _split_of(folder):
    return SPLIT_ALIASES.get(folder.name.lower())


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
        if entry.is_dir() and not entry.name.startswith(HIDDEN)
    )


def visible_files(folder):
    """Paths of all files in a folder and those in it, none of them hidden."""
    for parent, folders, names in os.walk(folder):
        # In place: os.walk goes on into what is left.
        folders[:] = sorted(f for f in folders if not f.startswith(HIDDEN))
        for name in sorted(n for n in names if not n.startswith(".")):
            yield os.path.join(parent, name)


def _images(folder, log) -> list[str]:
    files = list(visible_files(folder))
    paths = [path for path in files if path.lower().endswith(SUFFIXES)]
    num_others = len(files) - len(paths)
    if num_others:
        log.notes.append(
            f"{folder}: {num_others} file(s) were passed over; images end "
            f"in {', '.join(SUFFIXES)}"
        )
    return paths
