"""How far images are checked, in each command that opens a data set."""

import pytest

from keras_fgvc import data
from keras_fgvc.cli import main
from keras_fgvc.data.sources import files


@pytest.fixture
def verified(monkeypatch):
    """Notes `verify` of each opening; none of them goes on."""
    given = []

    def open_dataset(*_, verify, **__):
        given.append(verify)
        raise ValueError("far enough")

    monkeypatch.setattr(data, "open_dataset", open_dataset)
    return given


@pytest.mark.parametrize("verify", [None, *files.VERIFY])
@pytest.mark.parametrize(
    "command",
    [
        ["evaluate"],
        ["report"],
        ["train", "--method=elope", "--data=d", "--weights=none"],
    ],
    ids=lambda words: words[0],
)
def test_the_option_reaches_the_data(
    trained, verified, tmp_path, capsys, command, verify
):
    workdir = tmp_path / "new" if command[0] == "train" else trained
    words = [*command, f"--workdir={workdir}"]
    assert main([*words, f"--verify={verify}"] if verify else words) == 1
    assert "far enough" in capsys.readouterr().err
    assert verified == [verify or "full"]


def test_evaluating_a_finished_run_decodes_nothing_to_check(
    workdir, photographs, monkeypatch, capsys
):
    data.open_dataset(str(photographs))

    def fail(path):
        raise AssertionError(f"{path} is decoded again")

    monkeypatch.setattr(files, "_decode", fail)
    assert main(["evaluate", f"--workdir={workdir}"]) == 0
    assert "top-1" in capsys.readouterr().out
