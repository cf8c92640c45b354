import base64
import dataclasses
import datetime
import html.parser
import io
import math
import re
import sys

import numpy as np
import pytest
from PIL import Image

from keras_fgvc import __version__, visualization
from keras_fgvc.evaluation import Evaluation
from keras_fgvc.visualization import Explanation, Section, TopClass
from keras_fgvc.visualization.page import _template, render
from keras_fgvc.visualization.report import _interval
from keras_fgvc.visualization.sections import brightest_place

EVIL = "<script>alert('a&b')</script> \" onload=\"x"
GREY = np.full((2, 30, 45, 3), 128, "uint8")
BOX = np.float32([[0.2, 0.2, 0.7, 0.8]])
ROWS = [
    {"epoch": 0.0, "loss": 3.0, "val_loss": 2.0, "val_accuracy": 0.3},
    {"epoch": 1.0, "loss": 2.0, "val_loss": 1.0, "val_accuracy": 0.6},
]


class Page(html.parser.HTMLParser):
    """Tags with their attributes, the text, and whether tags close."""

    EMPTY = ("meta", "img", "wbr")

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "wbr":
            self.texts.append(" ")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.texts.append(" ")
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def hot(row, column):
    heatmap = np.zeros((3, 3), "float32")
    heatmap[row, column] = 1.0
    return heatmap


def explanation(name, maps, **others):
    top = (TopClass(1, name, 0.7), TopClass(0, "crow", 0.2))
    filled = {"boxes": {}, "gates": {}, "members": {}} | others
    return Explanation(top, maps, **filled)


def full_report(path, name=EVIL):
    """Every part of a report, with one name wherever a name may stand."""
    said = TopClass(1, name, 0.9)
    explanations = [
        explanation(name, {name: hot(0, 0)}, boxes={name: BOX}),
        explanation("wren", {}, members={name: said}, gates={name: 0.25}),
    ]
    names = ("crow", name)
    sections = [
        visualization.explanation_section(
            GREY,
            explanations,
            labels=[1, 0],
            true_boxes=np.repeat(BOX, 2, 0),
            class_names=names,
            title=name,
            note=name,
        ),
        visualization.training_section({f"1-{name}": ROWS}, title=name),
        visualization.confusion_section(
            [0, 1, 1], [1, 1, 0], GREY[[0, 0, 1]], class_names=names
        ),
    ]
    visualization.write_report(
        path,
        title=name,
        evaluation=Evaluation(
            2, 0.5, 1.0, {name: 0.5, "none": math.nan}, {name: 0.5}
        ),
        facts={name: name},
        sections=sections,
    )
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    return full_report(tmp_path_factory.mktemp("report") / "report.html")


def test_every_text_is_escaped(evil):
    page = Page(evil)
    allowed = {
        *("html", "head", "meta", "title", "style", "body", "header", "nav"),
        *("main", "section", "article", "h1", "h2", "h3", "ul", "li", "a"),
        *("p", "div", "dl", "dt", "dd", "small", "span", "wbr", "figure"),
        *("figcaption", "img", "table", "caption", "footer"),
        *("thead", "tbody", "tr", "th", "td"),
    }
    assert {tag for tag, _ in page.tags} <= allowed
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
    # It is there as text: heading, facts, classes, maps, members, pairs.
    assert page.text.count("alert('a&b')</script>") > 15


def test_nothing_comes_from_elsewhere(evil):
    assert "<script" not in evil
    assert not re.search(r"https?://|@import|url\(|//\w+\.", evil)
    page = Page(evil)
    sources = [a["src"] for a in page.all("img")]
    assert len(sources) > 5
    assert all(source.startswith("data:image/") for source in sources)
    assert all(a["href"].startswith("#") for a in page.all("a"))
    ids = {a["id"] for _, a in page.tags if "id" in a}
    assert {a["href"][1:] for a in page.all("a")} == ids
    (policy,) = [a for a in page.all("meta") if "http-equiv" in a]
    assert policy["content"].startswith("default-src 'none'; img-src data:")


def test_pictures_are_whole_and_have_words(evil):
    page = Page(evil)
    for attributes in page.all("img"):
        assert len(attributes["alt"]) > 10
        kind, encoded = attributes["src"].split(";base64,")
        image = Image.open(io.BytesIO(base64.b64decode(encoded)))
        image.load()
        assert kind == f"data:image/{image.format.lower()}"
        share = int(attributes["width"]) / int(attributes["height"])
        assert share == pytest.approx(image.width / image.height, abs=0.02)
    alts = [attributes["alt"] for attributes in page.all("img")]
    assert f"Map over the photograph: {EVIL}, brightest in the upper left" in (
        alts
    )
    assert (
        "loss over 2 epochs: training from 3 to 2, validation from 2 to 1"
        in (alts)
    )
    assert f"Photograph of {EVIL}, with boxes: {EVIL}" in alts
    assert "Photograph of crow" in alts


def test_a_page_for_phones_and_for_the_dark(evil):
    assert evil.startswith('<!doctype html>\n<html lang="en">')
    assert '<meta name="viewport" content="width=device-width">' in evil
    assert "@media (prefers-color-scheme: dark)" in evil
    dark = evil[evil.index("@media (prefers-color-scheme: dark)") :]
    assert ".chart img { filter: invert" in dark[: dark.index("@media", 1)]
    assert evil.count('class="chart"') > 1
    levels = [int(tag[1]) for tag, _ in Page(evil).tags if tag in "h1h2h3"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1  # none is left out on the way down


def test_tiles_show_map_and_boxes():
    section = visualization.explanation_section(
        GREY[:1],
        [explanation("wren", {"low": hot(2, 2)}, boxes={"crop": BOX})],
        true_boxes=BOX / 2,
    )
    tiles = []
    for attributes in Page(section.html).all("img"):
        encoded = attributes["src"].split(",")[1]
        image = Image.open(io.BytesIO(base64.b64decode(encoded)))
        tiles.append(np.asarray(image.convert("RGB")).astype(int))
    photograph, heatmap = tiles
    red = photograph[..., 0] - photograph[..., 1] > 60
    green = photograph[..., 1] - photograph[..., 0] > 60
    height, width = red.shape
    assert (height, width) == (149, 224)
    rows, columns = np.where(red)
    assert rows.min() == pytest.approx(0.2 * height, abs=4)
    assert columns.max() == pytest.approx(0.8 * width, abs=4)
    rows, columns = np.where(green)
    assert columns.max() == pytest.approx(0.4 * width, abs=4)
    bright = heatmap.mean(axis=-1)
    assert bright[-30:, -30:].mean() > bright[:30, :30].mean() + 40


def test_figures_and_classes(tmp_path):
    shares = {f"class {n:02}": n / 30 for n in range(30)}
    figures = Evaluation(
        images=978,
        top1=0.5,
        top5=0.8,
        per_class={**shares, "gone": math.nan},
        localization={"boxes": math.nan},
        mean_per_class=0.456,
        macro_f1=0.4321,
    )
    path = tmp_path / "report.html"
    assert path == visualization.write_report(
        path, title="Birds", evaluation=figures
    )
    text = Page(path.read_text(encoding="utf-8")).text
    assert "images 978" in text
    assert "top-1 50.0 % (46.9 to 53.1)" in text
    assert "mean per class 45.6 %" in text
    assert "macro F1 43.2 %" in text
    assert "likelihood" not in text  # an older file of figures
    assert "nan" not in text
    assert "30 classes; 1 more have no images here." in text
    assert "10 worst classes class 00 0.0 % class 01 3.3 %" in text
    assert "10 best classes class 29 96.7 % class 28 93.3 %" in text
    assert "class 15" not in text
    assert list(tmp_path.iterdir()) == [path]  # no half-written file


def test_a_box_that_never_looks_stands_beside_the_models(tmp_path):
    path, name = tmp_path / "report.html", "fixed centred box (validation)"
    figures = Evaluation(978, 0.5, 0.8, {"wren": 0.5}, {"heat_map": 0.435})
    for fixed in ({}, {name: 0.555}):
        figures = dataclasses.replace(figures, constant_localization=fixed)
        visualization.write_report(path, title="Birds", evaluation=figures)
        text = Page(path.read_text(encoding="utf-8")).text
        assert "object found, by heat map 43.5 %" in text
        beside = f"object found, by {name} 55.5 % (52.4 to 58.6)"
        assert (beside in text) == bool(fixed)
        assert ("it never looks" in text) == bool(fixed)


def test_date_version_and_every_fact(tmp_path):
    path = tmp_path / "report.html"
    facts = {"command": "keras-fgvc report --split=a_b", "parameters": 7}
    visualization.write_report(path, title="Birds", facts=facts)
    text = Page(path.read_text(encoding="utf-8")).text
    today = datetime.date.today().isoformat()
    assert text.endswith(f"Written on {today} by keras-fgvc {__version__}.")
    assert "command keras-fgvc report --split=a_b parameters 7" in text


def test_each_picture_is_there_once(evil):
    drawn = [a["src"] for a in Page(evil).all("img") if "over" in a["alt"]]
    assert len(drawn) == len(set(drawn)) == 3  # a map, and two charts


def test_a_missing_template_engine_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    _template.cache_clear()
    with pytest.raises(ImportError, match=r"A report needs.*jinja2.*\[demo\]"):
        render("facts", facts={})


def test_few_classes_are_in_one_table(tmp_path):
    figures = Evaluation(3, 0.5, 1.0, {"wren": 1.0, "crow": 0.0}, {})
    path = tmp_path / "report.html"
    visualization.write_report(path, title="Birds", evaluation=figures)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "the worst first crow 0.0 % wren 100.0 %" in text


def test_found_objects_are_counted_among_images_with_a_box(tmp_path):
    figures = Evaluation(
        90, 0.5, 1.0, {"wren": 0.5}, {"boxes": 0.5}, with_boxes=4
    )
    path = tmp_path / "report.html"
    visualization.write_report(path, title="Birds", evaluation=figures)
    text = Page(path.read_text(encoding="utf-8")).text
    assert f"by boxes 50.0 % {_interval(0.5, 4)}" in text
    assert f"top-1 50.0 % {_interval(0.5, 90)}" in text


def test_interval_of_wilson():
    # Newcombe 1998, table I: 81 of 263, and its limits 0.2553 and 0.3662.
    assert _interval(81 / 263, 263) == "(25.5 to 36.6)"
    assert _interval(1.0, 10) == "(72.2 to 100.0)"
    assert _interval(0.0, 0) == ""


def test_members_and_their_weights():
    said = TopClass(1, "wren", 0.9)
    plain = {"student": said, "teacher": TopClass(0, "crow", 0.6)}
    gated = {"network": said, "head": said}
    section = visualization.explanation_section(
        GREY[[0, 0, 0]],
        [
            explanation("wren", {}, members=plain),
            explanation(
                "wren", {}, members=gated, gates={"network": 0.8, "head": 0.2}
            ),
            explanation("wren", {}, gates={"member 1": 0.7, "member 2": 0.3}),
        ],
    )
    text = Page(section.html).text
    assert "how sure student: wren 90.0 % teacher: crow 60.0 %" in text
    assert "weight network: wren 80.0 % head: wren 20.0 %" in text
    assert text.endswith("prediction: weight member 1 70.0 % member 2 30.0 %")


def test_right_wrong_and_true():
    explanations = [explanation("wren", {}), explanation("wren", {})]
    section = visualization.explanation_section(
        GREY, explanations, labels=[1, 0], class_names=("crow", "wren")
    )
    text = Page(section.html).text
    assert "wren recognised" in text
    assert "crow taken for wren" in text
    assert text.count("wren true 70.0 %") == 1
    assert text.count("crow true 20.0 %") == 1


def test_many_maps_are_cut_and_said_so():
    maps = {f"map {n}": hot(0, 0) for n in range(14)}
    section = visualization.explanation_section(
        GREY[:1], [explanation("wren", maps)]
    )
    page = Page(section.html)
    assert len(page.all("img")) == 13
    assert "12 of 14 maps." in page.text


def test_confusions_of_a_page():
    section = visualization.confusion_section(
        [0, 0, 0, 1, 2], [1, 1, 0, 1, 2], GREY[[0] * 5], class_names="abc"
    )
    text = Page(section.html).text
    assert "These 1 pairs of classes hold 2 of all 2 mistakes." in text
    assert "class 1 2 others 1 a 1 2 2 b 1" in text  # 1 right, 2 taken; 1 right
    assert "no b was taken for a" in text
    section = visualization.confusion_section(
        [0, 1], [0, 1], None, class_names="ab"
    )
    assert Page(section.html).text == "Nothing was confused."


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_brightest_place(row, column):
    expected = (
        f"brightest in the {('upper', 'middle', 'lower')[row]} "
        f"{('left', 'centre', 'right')[column]}"
    )
    assert brightest_place(hot(row, column)) == expected
    larger = np.kron(hot(row, column), np.ones((4, 5)))
    larger[larger == 0] = np.nan
    larger[0, 0] = -1
    assert brightest_place(larger) == expected


def test_maps_without_a_brightest_place():
    for value in (0.5, np.nan):
        flat = np.full((3, 3), value)
        assert brightest_place(flat) == "the same everywhere"


def test_a_section_of_ones_own(tmp_path):
    path = tmp_path / "report.html"
    own = Section("Mine & yours", "<p>A <b>bold</b> word.</p>")
    visualization.write_report(path, title="Birds", sections=[own])
    text = path.read_text(encoding="utf-8")
    assert "Mine &amp; yours</h2>\n<p>A <b>bold</b> word.</p>" in text


def test_wrong_arguments(tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match=r"Give `evaluation`.*none of them"):
        visualization.write_report(path, title="empty")
    with pytest.raises(ValueError, match="`labels` must be as long"):
        visualization.explanation_section(
            GREY, [explanation("a", {})] * 2, labels=[1]
        )
    assert not path.exists()
