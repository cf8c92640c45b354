"""Finding and reading the files of a data set, with errors that name them.

Files are looked for under the names that their authors gave them, first
unpacked in the folder of manual downloads, then inside an archive there.
"""

import re

MAX_SHOWN = 5


def find_path(dl_manager, paths, *, archives=()):
    """The first of `paths` that is there, unpacked from an archive if need be.

    Args:
        dl_manager: `tfds.download.DownloadManager`.
        paths: File or folder names relative to the folder of manual downloads,
            or to the root of the archive.
        archives: Names that the archive which holds them may have.

    Returns:
        `pathlib.Path`, or None where there is none of all these.

    Raises:
        ValueError: The archive holds none of `paths`.
    """
    folder = manual_folder(dl_manager)
    if folder is None:
        return None
    found = _first_in(folder, paths)
    archive = _first_in(folder, archives)
    if found is None and archive is not None:
        unpacked = dl_manager.extract(archive)
        found = _first_in(unpacked, paths)
        if found is None:
            raise ValueError(
                f"{archive} holds no {' or '.join(paths)} (looked for in "
                f"{unpacked}, where it was unpacked). If that folder is "
                "another archive's of the same name, delete it."
            )
    return found


def manual_folder(dl_manager):
    """The folder of manual downloads, or None: it is missing or empty."""
    try:
        return dl_manager.manual_dir
    except AssertionError:
        return None


def missing(builder, dl_manager, *names: str) -> ValueError:
    """The error for files that the user has to download."""
    try:
        problem = f"there is no {' and no '.join(names)} in "
        problem += str(dl_manager.manual_dir)
    except AssertionError as error:  # TFDS names the folder, then says more.
        problem = str(error).partition(". Create it")[0]
    return ValueError(
        f'The data set "{builder.name}" cannot be prepared: {problem}. '
        f"{' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())} "
        "Another folder is named by `download_and_prepare("
        "download_config=tfds.download.DownloadConfig(manual_dir=...))`."
    )


def read_table(path, num_columns: int, separator=None) -> list[list[str]]:
    """Lines of a text file, cut into columns; empty lines are passed over.

    Args:
        path: Text file, UTF-8 or, where it is not that, Latin-1.
        num_columns: Number of columns. The last one is the rest of the line,
            whatever it holds, but for white space around it.
        separator: What parts the columns. Default: white space.

    Raises:
        ValueError: The file is missing, or a line has fewer columns.
    """
    rows = []
    # Not splitlines(): it also cuts at rare characters within a line.
    lines = re.split(r"\r\n|\r|\n", _read_text(path))
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        columns = line.split(separator, num_columns - 1)
        if len(columns) < num_columns:
            raise ValueError(
                f"{path}, line {number}: expected {num_columns} columns. "
                f"Received: {line!r}."
            )
        rows.append([column.strip() for column in columns])
    return rows


def read_mapping(path) -> dict[str, str]:
    """A file of two columns as a dictionary, such as image -> class.

    Raises:
        ValueError: As `read_table`, or a key is there twice.
    """
    rows = read_table(path, 2)
    mapping = dict(rows)
    if len(mapping) < len(rows):
        raise ValueError(f"{path} names something twice in its first column.")
    return mapping


def look_up(mapping: dict, keys, path) -> list:
    """The values of all `keys`; `path` is the file that they come from.

    Raises:
        ValueError: The file lacks some of them; the first ones are listed.
    """
    lost = [key for key in keys if key not in mapping]
    if lost:
        shown = ", ".join(str(key) for key in lost[:MAX_SHOWN])
        raise ValueError(f"{path} lacks {len(lost)} entries, such as {shown}.")
    return [mapping[key] for key in keys]


def to_numbers(values, path) -> list[float]:
    """Texts of one line as numbers.

    Raises:
        ValueError: One of them is no number; the message shows the line.
    """
    try:
        return [float(value) for value in values]
    except ValueError as error:
        raise ValueError(
            f"{path}: expected numbers. Received: {' '.join(values)!r}."
        ) from error


def check_class_count(names, expected: int, path) -> None:
    """Raises if a file does not name the known number of classes."""
    if len(names) != expected:
        raise ValueError(
            f"{path} must give {expected} classes. Received: {len(names)}."
        )


def distinct_names(names, numbers) -> list[str]:
    """Adds the number of the class to names that several classes share."""
    return [
        f"{name} ({number})" if names.count(name) > 1 else name
        for name, number in zip(names, numbers, strict=True)
    ]


def read_image(path) -> tuple[bytes, tuple[int, int]]:
    """The encoded image and its (height, width), decoded once to be sure.

    The bytes are those of the file, but for a GIF: TFDS's image feature cannot
    decode one, so its first frame becomes a PNG. The size is that of the
    pixels as stored: as TFDS does, it does not obey an EXIF orientation.

    Raises:
        ValueError: The file is missing, cut short, or no image.
    """
    import tensorflow as tf

    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"The image {path} is listed but cannot be read: {error.strerror}. "
            "Unpack or download the data set again."
        ) from error
    try:
        with tf.device("CPU:0"):
            image = tf.io.decode_image(encoded, channels=3)
            if image.shape.rank == 4:  # frames, height, width, channels
                image = image[0]
                encoded = tf.io.encode_png(image).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            f"The image {path} is empty, cut short or corrupt and cannot be "
            "decoded. Unpack or download the data set again."
        ) from error
    return encoded, (int(image.shape[0]), int(image.shape[1]))


def _first_in(folder, paths):
    for path in paths:
        if (folder / path).exists():
            return folder / path
    return None


def _read_text(path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"The file {path} of the data set cannot be read: "
            f"{error.strerror}. Unpack or download the data set again."
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
