"""The data sets that have a name, as a table, or what is known of one.

    python examples/datasets.py
    python examples/datasets.py --name=celeb_a/Smiling --data_dir=FOLDER

Nothing is downloaded. In a second; with --name of a data set that is on disk
it is opened. The sizes of splits are as published; where there is no
validation split, `open_dataset` cuts one from train.
"""

import textwrap

from absl import app, flags

from keras_fgvc import data

FLAGS = flags.FLAGS
flags.DEFINE_string("name", None, "Tell about this data set only.")
flags.DEFINE_string("data_dir", None, "Where data sets are looked for.")

HEADINGS = (
    "name and variants",
    "classes",
    "train/val/test",
    "box",
    "source",
    "licence",
    "how to get it",
)
WIDTHS = (17, 7, 18, 3, 20, 15, 18)  # 120 columns with what is between.
MAX_VARIANTS = 3


def name_and_variants(entry):
    names = [f"/{variant}" for variant in entry.variants]
    if len(names) > MAX_VARIANTS:
        names = [names[0], f"... {names[-1]}"]
    return " ".join([entry.name, *names])


def cells(entry):
    sizes = (
        str(entry.split_sizes.get(split, "-"))
        for split in ("train", "validation", "test")
    )
    classes = dict.fromkeys([entry.num_classes, *entry.variants.values()])
    return (
        name_and_variants(entry),
        ", ".join(map(str, classes)),
        "/".join(sizes) if entry.split_sizes else "not published",
        "yes" if entry.has_boxes else "no",
        entry.source,
        entry.licence,
        entry.how_to_get,
    )


def print_row(texts):
    """One row of the table, of as many lines as its longest cell needs."""
    columns = [
        textwrap.wrap(text, width, break_on_hyphens=False)
        for text, width in zip(texts, WIDTHS, strict=True)
    ]
    for number in range(max(map(len, columns))):
        shown = (
            (column[number] if number < len(column) else "").ljust(width)
            for column, width in zip(columns, WIDTHS, strict=True)
        )
        print(f"| {' | '.join(shown)} |".rstrip())


def main(_):
    if FLAGS.name:
        print(data.info(FLAGS.name, data_dir=FLAGS.data_dir).summary())
        return
    print_row(HEADINGS)
    print_row(["-" * width for width in WIDTHS])
    for entry in data.entries():
        print_row(cells(entry))


if __name__ == "__main__":
    app.run(main)
