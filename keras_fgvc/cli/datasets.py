"""`datasets`: the data sets that have a name, or what is known of one."""

import textwrap

SUMMARY = "list the data sets that have a name, or describe one"
EXAMPLE = "  keras-fgvc datasets --name cub200\n\nNothing is downloaded."
HEADINGS = ("name and variants", "classes", "train/val/test", "box")
WIDTHS = (28, 7, 29, 3)  # 80 columns with what is between.
MORE = ("source", "licence", "how to get it")  # on lines of their own
MAX_VARIANTS = 3


def add_options(add):
    """Adds the options of this command."""
    add.option("--name", "describe this data set only")
    add.option("--data-dir", "where data sets are looked for")


def run(options) -> int:
    """Prints the table, or the summary of the data set `options.name`."""
    from keras_fgvc import data

    if options.name:
        print(data.info(options.name, data_dir=options.data_dir).summary())
        return 0
    _print_row(HEADINGS)
    _print_row(["-" * width for width in WIDTHS])
    for entry in data.entries():
        _print_row(_cells(entry))
        more = (entry.source, entry.licence, entry.how_to_get)
        for name, text in zip(MORE, more, strict=True):
            _print_more(f"{name}: {text}")
    return 0


def _cells(entry):
    sizes = (
        str(entry.split_sizes.get(split, "-"))
        for split in ("train", "validation", "test")
    )
    classes = dict.fromkeys([entry.num_classes, *entry.variants.values()])
    return (
        _name_and_variants(entry),
        ", ".join(map(str, classes)),
        "/".join(sizes) if entry.split_sizes else "not published",
        "yes" if entry.has_boxes else "no",
    )


def _print_more(text):
    """Prints a fact of a data set, as wide as its row and indented."""
    width = sum(WIDTHS) + 3 * len(WIDTHS) + 1
    for line in textwrap.wrap(text, width - 6, break_on_hyphens=False):
        print(f"|   {line:<{width - 6}} |")


def _name_and_variants(entry):
    names = [f"/{variant}" for variant in entry.variants]
    if len(names) > MAX_VARIANTS:
        names = [names[0], f"... {names[-1]}"]
    return " ".join([entry.name, *names])


def _print_row(texts):
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
