"""Cards of the report: one image explained, one pair of classes."""

import numpy as np

from keras_fgvc.visualization import report_html as page
from keras_fgvc.visualization.confusion_picture import example_title
from keras_fgvc.visualization.explanation_picture import true_name
from keras_fgvc.visualization.explanations import member_bars

# Of one image; more would make the page heavy.
MOST_MAPS = 12
BESIDE_TABLES = 6  # more tiles lie above the tables


def explanation_card(image, explanation, label, true_box, class_names):
    """One image with its maps, its classes and the members' words."""
    name = None
    if label is not None:
        name = true_name(explanation, label, class_names)
    tiles = [_photograph(image, explanation, true_box, name)]
    maps = list(explanation.maps.items())
    tiles += [_map_tile(image, *pair) for pair in maps[:MOST_MAPS]]
    kind = "seen many" if len(tiles) > BESIDE_TABLES else "seen"
    left_out = ""
    if len(maps) > MOST_MAPS:
        left_out = f'<p class="note">{MOST_MAPS} of {len(maps)} maps.</p>'
    return (
        f'<article class="card"><h3>{_verdict(explanation, label, name)}</h3>'
        f'<div class="{kind}"><div class="tiles">{"".join(tiles)}</div>'
        f'<div class="tables">{_tables(explanation, label)}</div></div>'
        f"{left_out}</article>"
    )


def _verdict(explanation, label, name):
    said = explanation.top[0]
    if label is None:
        return page.words(said.name)
    if said.label == label:
        answer = '<span class="right-answer">recognised</span>'
        return f"{page.words(name)} {answer}"
    answer = '<span class="wrong-answer">taken for</span>'
    return f"{page.words(name)} {answer} {page.words(said.name)}"


def _photograph(image, explanation, true_box, name):
    kinds = ", ".join(explanation.boxes)
    alt = "Photograph" if name is None else f"Photograph of {name}"
    return page.tile(
        image,
        f"{alt}, with boxes: {kinds}" if kinds else alt,
        f"boxes: {kinds}" if kinds else "photograph",
        true_box=true_box,
        boxes=explanation.boxes,
    )


def _map_tile(image, title, heatmap):
    alt = f"Map over the photograph: {title}, {brightest_place(heatmap)}"
    return page.tile(image, alt, title, heatmap=heatmap)


def brightest_place(heatmap) -> str:
    """Where a map is highest, in words."""
    heatmap = np.asarray(heatmap, "float32")
    if np.isnan(heatmap).all() or np.nanmin(heatmap) == np.nanmax(heatmap):
        return "the same everywhere"
    peak = np.unravel_index(np.nanargmax(heatmap), heatmap.shape)
    row, column = (
        min(int(3 * (place + 0.5) / cells), 2)
        for place, cells in zip(peak, heatmap.shape, strict=True)
    )
    vertical = ("upper", "middle", "lower")[row]
    horizontal = ("left", "centre", "right")[column]
    return f"brightest in the {vertical} {horizontal}"


def _tables(explanation, label):
    top = [(t.name, t.probability, t.label == label) for t in explanation.top]
    tables = page.bars(top, "Most probable classes")
    length, members = member_bars(explanation, label)
    if members:
        tables += page.bars(members, f"Members of the prediction: {length}")
    return tables


def pair_card(pair, images):
    """A pair of classes with its four photographs, None where there is none."""
    tiles = []
    for number, image in enumerate(images):
        title = example_title(pair, number, image is None).replace("\n", " ")
        if image is None:
            tiles.append(f'<p class="tile note">{page.words(title)}</p>')
        else:
            tiles.append(page.tile(image, f"Photograph: {title}", title))
    names = " and ".join(page.words(name) for name in pair.names)
    return (
        f'<article class="card"><h3>{names}</h3>'
        f'<p class="note">{page.words(pair)}</p>'
        f'<div class="tiles">{"".join(tiles)}</div></article>'
    )
