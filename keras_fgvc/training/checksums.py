"""Checksums beside weights files, and reading such files by them.

`checksums.json` lies in the folder of the files that it names. A file that it
does not name, such as one of an older version, is read without a check.
"""

import hashlib
import re
import zipfile

import keras

from keras_fgvc._files import damaged, move_into_place, read_json, write_json

FILE = "checksums.json"
SUM = re.compile("[0-9a-f]{64}")
REMEDY = "Remove it to go on without checking the files beside it."
STAGE_REMEDY = (
    "Restore it from a copy, or remove the folder of this stage to train the "
    "stage again."
)
MODEL_REMEDY = (
    "Restore it from a copy, or remove it and run the training again, which "
    "writes it anew from the weights of the stages. If you changed it "
    f"yourself, remove its entry in {FILE}."
)
SHOWN_DIGITS = 12  # of a checksum in a message
BYTES_AT_A_TIME = 1 << 20


def save(path, write, **facts) -> None:
    """Writes a file and its checksum, so that a kill leaves both right.

    Args:
        path: `pathlib.Path`.
        write: Function of the path to write to.
        **facts: What else is noted of the file, see `noted`.
    """

    def fill(partial):
        write(partial)
        entry = {"sha256": [digest(partial), *_accepted(path)], **facts}
        _note(path, entry)

    move_into_place(path, fill)
    accepted = _accepted(path)
    if len(accepted) > 1:  # the file of before is gone
        _note(path, {"sha256": accepted[:1], **facts})


def remove(path) -> None:
    """Removes a file and its checksum."""
    path.unlink(missing_ok=True)
    _note(path, None)


def noted(path) -> dict:
    """Returns what was noted of a file; empty if nothing was."""
    folder_file = path.with_name(FILE)
    if not folder_file.exists():
        return {}
    entries = read_json(folder_file, dict, REMEDY)
    entry = entries.get(path.name, {})
    sums = entry.get("sha256", []) if isinstance(entry, dict) else None
    is_list = isinstance(sums, list)
    if not is_list or not all(SUM.fullmatch(str(each)) for each in sums):
        raise damaged(folder_file, f"it has no sum of {path.name}", REMEDY)
    return entry


def check(path, remedy: str) -> bool:
    """Compares a file with its checksum.

    Returns:
        Whether there is a checksum.

    Raises:
        DamagedFileError: If the file is missing, or another than was written.
    """
    if not path.is_file():
        raise damaged(path, "it is missing", remedy)
    before = _accepted(path)
    found = digest(path)
    # A training may have replaced the file in between.
    accepted = [*before, *_accepted(path)]
    if accepted and found not in accepted:
        reason = (
            f"its SHA-256 is {found[:SHOWN_DIGITS]}..., and by {FILE} it was "
            f"{accepted[-1][:SHOWN_DIGITS]}... when it was written"
        )
        raise damaged(path, reason, remedy)
    return bool(accepted)


def load_weights(model, path) -> None:
    """Loads a weights file of a stage into a model.

    Raises:
        DamagedFileError: If the file is not as it was written.
        ValueError: If it is, and the model is another one.
    """
    is_checked = check(path, STAGE_REMEDY)
    try:
        model.load_weights(path)
    except Exception as error:  # HDF5 raises whatever it stumbles on
        reason = f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]
        if is_checked:
            raise ValueError(
                f"{path} is whole, but does not fit this model ({reason}). "
                "Build the model as the first run did, or give a new folder."
            ) from error
        text = f"it cannot be loaded, or is of another model ({reason})"
        raise damaged(path, text, STAGE_REMEDY) from error


def load_model(path, **options):
    """Loads a .keras file.

    Args:
        path: `pathlib.Path`.
        **options: Of `keras.saving.load_model`.

    Raises:
        DamagedFileError: If the file is not as it was written, or no whole
            archive.
    """
    check(path, MODEL_REMEDY)
    try:
        return keras.saving.load_model(path, **options)
    except Exception as error:
        if _is_whole_archive(path):
            raise  # such as of a class that is not registered
        reason = "it is no whole .keras archive"
        raise damaged(path, reason, MODEL_REMEDY) from error


def digest(path) -> str:
    """Returns the SHA-256 of a file in hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(BYTES_AT_A_TIME):
            found.update(part)
    return found.hexdigest()


def _accepted(path):
    return noted(path).get("sha256", [])


def _note(path, entry):
    """Replaces the entry of one file; `None` removes it."""
    folder_file = path.with_name(FILE)
    entries = {}
    if folder_file.exists():
        entries = read_json(folder_file, dict, REMEDY)
    elif entry is None:
        return
    entries = {n: e for n, e in entries.items() if n != path.name}
    if entry is not None:
        entries[path.name] = entry
    write_json(folder_file, entries, nan_as_null=True)


def _is_whole_archive(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a flipped byte makes zipfile raise many kinds
        return False
