"""The confused classes as a picture: their matrix, and photographs."""

import numpy as np

from keras_fgvc.visualization.confusions import (
    check_arrays,
    classes_of,
    confusion_matrix,
    most_confused,
    pair_examples,
)
from keras_fgvc.visualization.drawing import (
    draw_image,
    new_figure,
    shortened,
)

NOTHING = "Nothing was confused."
CELL_INCHES = 0.42
NAMES_INCHES = 2.2
PHOTOGRAPH_INCHES = 2.1
# Of `pair_examples`; filled with this name, the other and how often.
EXAMPLE_TITLES = ("{0}", "{0},\ntaken for {1} ({2}x)")
MISSING_TITLES = ("no {0}\nwas recognised", "no {0}\nwas taken for {1}")


def save_confusions(
    path,
    labels,
    predicted,
    photographs,
    *,
    class_names,
    count: int = 10,
    names=None,
) -> None:
    """Saves what a model takes for one another: matrix and photographs.

    Above, the confusion matrix of the most confused pairs' classes. Below,
    a row a pair: a photograph of the first class, one of it taken for the
    second, one of the second class, one of that taken for the first. With
    no mistake at all the picture says so.

    Args:
        path: File to write; its ending chooses the format.
        labels: `(n,)` integers, the true classes.
        predicted: `(n,)` integers, the predicted ones.
        photographs: A function from an array of indices, 0 to n - 1, to as
            many images, raw pixels 0..255; or an array of all of them.
        class_names: Name of each class; label i belongs to name i.
        count: How many pairs at most.
        names: `n` texts, such as file names, one per image. Defaults to none.

    Raises:
        ImportError: If Matplotlib or scikit-learn is not installed.
        ValueError: If the arrays are not as described.

    Example:

    ```python
    import numpy as np
    from keras_fgvc import visualization

    photos = np.random.randint(0, 256, (5, 32, 32, 3), "uint8")
    visualization.save_confusions(
        "confusions.png",
        [0, 0, 1, 1, 2],
        [1, 0, 0, 0, 2],
        photos,
        class_names=("crow", "raven", "wren"),
    )
    ```
    """
    labels, predicted = check_arrays(labels, predicted, len(class_names))
    pairs = most_confused(labels, predicted, class_names, count=count)
    if not pairs:
        _save_text(path, NOTHING)
        return
    indices = [pair_examples(labels, predicted, pair) for pair in pairs]
    images = load_photographs(photographs, indices, len(labels))
    classes = classes_of(pairs)
    side = CELL_INCHES * len(classes) + NAMES_INCHES
    figure = new_figure(
        max(4 * PHOTOGRAPH_INCHES, side + CELL_INCHES),
        side + len(pairs) * (PHOTOGRAPH_INCHES + 0.3),
        layout="constrained",
    )
    above, below = figure.subfigures(
        2, 1, height_ratios=[side, len(pairs) * (PHOTOGRAPH_INCHES + 0.3)]
    )
    matrix = confusion_matrix(labels, predicted, classes)
    titles = [str(class_names[label]) for label in classes]
    draw_matrix(above.add_subplot(), matrix, titles)
    grid = below.subplots(len(pairs), 4, squeeze=False)
    for row, pair, chosen in zip(grid, pairs, indices, strict=True):
        shown = [(images.get(index), name_of(names, index)) for index in chosen]
        _draw_pair(row, pair, shown)
    figure.savefig(path, dpi=110)


def load_photographs(photographs, indices, count) -> dict:
    """Returns a dict from index to image, for lists of indices or None.

    Raises:
        ValueError: If what comes is not an image an index.
    """
    wanted = sorted({i for row in indices for i in row if i is not None})
    if callable(photographs):
        images = photographs(np.array(wanted))
        if len(images) != len(wanted):
            raise ValueError(
                "`photographs` must return an image an index. Received: "
                f"{len(images)} images for {len(wanted)} indices."
            )
    else:
        if len(photographs) != count:
            raise ValueError(
                f"`photographs` must be as long as `labels` ({count}), or a "
                f"function of indices. Received: {len(photographs)}."
            )
        images = [photographs[index] for index in wanted]
    return dict(zip(wanted, images, strict=True))


def draw_matrix(axes, matrix, names) -> None:
    """Counts of `confusion_matrix`, coloured by their share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        if value:
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                value,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    plain = {"parse_math": False}  # a name may hold a dollar sign
    columns = [*names, "others"]
    axes.set_xticks(range(len(columns)), columns, rotation=90, **plain)
    axes.set_yticks(range(len(names)), names, **plain)
    axes.tick_params(labelsize=7, length=0)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("true", fontsize=8)


def _draw_pair(row, pair, images):
    for number, (axes, shown) in enumerate(zip(row, images, strict=True)):
        image, name = shown
        axes.set_axis_off()
        title = example_title(pair, number, image is None)
        if name is not None:
            title = f"{title}\n{shortened(name)}"
        axes.set_title(title, fontsize=7, parse_math=False)
        if image is not None:
            draw_image(axes, image)


def name_of(names, index):
    """The name of an image; None where it, or the image, is not known."""
    return None if names is None or index is None else str(names[index])


def example_title(pair, number, missing=False) -> str:
    """Describes the photograph of this number in `pair_examples`.

    Or, with `missing`, that there is none.
    """
    direction, taken = divmod(number, 2)
    names = pair.names if direction == 0 else pair.names[::-1]
    titles = MISSING_TITLES if missing else EXAMPLE_TITLES
    return titles[taken].format(*names, pair.counts[direction])


def _save_text(path, text):
    figure = new_figure(4, 1)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    figure.savefig(path, dpi=110)
