"""Writing a file as a whole or not at all."""

import os


def move_into_place(path, write) -> None:
    """Lets `write` fill a file beside `path`, then renames it to `path`.

    A half-written file looks like a whole one, and takes the place of a good
    one.

    Args:
        path: `pathlib.Path`.
        write: Function of the path to write to.
    """
    # Keras and NumPy tell formats by their endings: the mark goes in front.
    partial = path.with_name("partial-" + path.name)
    write(partial)
    os.replace(partial, path)
