import pytest

from keras_fgvc.cli.answer_table import AnswerTable

LONG_PATH = "photographs/" + "a_very_long_name_of_a_folder/" * 4 + "1.jpg"
LONG_NAME = (
    "Greater_crested_something_with_a_name_that_is_wider_than_a_line_" * 2
)


def answer(path="a.jpg", names=("crow", "wren"), box=True):
    shares = [1.0, *[0.012345] * (len(names) - 1)]
    found = {"boxes": [[0.1, 0.2, 0.999, 1.0]]} if box else {}
    return {
        "path": path,
        "top_classes": list(names),
        "top_probabilities": shares,
        **found,
        "error": "",
    }


def rows(answers, width=80, object_box="boxes"):
    names = dict.fromkeys(n for a in answers for n in a["top_classes"])
    table = AnswerTable(
        [a["path"] for a in answers],
        tuple(names),
        max(len(a["top_classes"]) for a in answers),
        object_box,
        width,
    )
    return [table(a) for a in answers]


def test_a_line_per_image_where_it_fits():
    first, second = rows([answer("a.jpg"), answer("deep/b.jpg")])
    assert first == (
        "a.jpg       crow 100.0 %  wren   1.2 %  box 0.10 0.20 1.00 1.00"
    )
    assert second == first.replace("a.jpg     ", "deep/b.jpg")


def test_a_block_per_image_where_a_line_is_too_long():
    first, second = rows([answer("a.jpg"), answer("b" * 60)])
    assert first == (
        "a.jpg\n  crow 100.0 %  wren   1.2 %  box 0.10 0.20 1.00 1.00"
    )
    assert second == first.replace("a.jpg", "b" * 60)


@pytest.mark.parametrize("width", [10, 40, 80, 133])
@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("path", ["a.jpg", LONG_PATH])
@pytest.mark.parametrize(
    "names", [("crow", "wren"), ("a", LONG_NAME), tuple("abcdefghijkl") * 2]
)
def test_nothing_is_wider_than_the_terminal_and_nothing_is_lost(
    path, names, box, width
):
    names = tuple(f"{name}{n}" for n, name in enumerate(names))
    object_box = "boxes" if box else None
    (row,) = rows([answer(path, names, box)], width, object_box)
    assert max(map(len, row.split("\n"))) <= max(width, 24)
    joined = row.replace("\n  ", "").replace("\n", "").replace(" ", "")
    for text in (path, *names, "100.0%"):
        assert text in joined
    assert joined.count("%") == len(names)
    assert ("box" in joined) == box


def test_characters_of_two_columns_and_none():
    wide, narrow = answer("鳥.jpg", ("カラス",)), answer("e\u0301.jpg", ("x",))
    first, second = rows([wide, narrow], object_box=None)
    assert first == "鳥.jpg  カラス 100.0 %"
    assert second == "e\u0301.jpg   x      100.0 %"
    (row,) = rows([answer("鳥" * 30, ("カラス",))], 40, None)
    assert row.split("\n") == ["鳥" * 20, "鳥" * 10, "  カラス 100.0 %"]


def test_line_breaks_and_broken_bytes_are_escaped():
    (row,) = rows([answer("a\nb\x1b[1m\udcff.jpg", ("crow",))], 80, None)
    assert row == "a\\u000ab\\u001b[1m\\udcff.jpg  crow 100.0 %"
    row.encode("utf-8")


def test_the_width_is_the_terminals_or_80(monkeypatch):
    monkeypatch.setenv("COLUMNS", "31")
    assert AnswerTable([], ("a",), 1, None).width == 31
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("sys.__stdout__", None)
    assert AnswerTable([], ("a",), 1, None).width == 80
