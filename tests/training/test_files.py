import json
import math

import pytest

from keras_fgvc._files import DamagedFileError
from keras_fgvc.recipes.monitoring import best_epoch
from keras_fgvc.training.files import (
    DONE,
    LOG,
    epochs_done,
    find_backups,
    read_log,
    read_threshold,
    remove_partial_files,
    write_done,
    write_log,
)


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
def test_best_epoch_is_a_number(monitor):
    assert best_epoch([math.nan, 0.5, math.nan], monitor) == 1
    assert best_epoch([math.nan, math.nan], monitor) == 1


def test_best_epoch():
    assert best_epoch([0.1, 0.7, 0.3], "val_accuracy") == 1
    assert best_epoch([0.1, 0.7, 0.3], "val_reward") == 1
    assert best_epoch([0.1, 0.7, 0.3], "val_loss") == 0
    assert best_epoch([0.5, 0.7, 0.7], "val_accuracy") == 2  # the later one


def test_partial_files_are_no_backups(tmp_path):
    path = tmp_path / "1-crops" / "backup-0001.weights.h5"
    path.parent.mkdir()
    path.write_text("whole")
    for name in (
        "partial-backup-0002.weights.h5",
        "partial-7-ab-best.weights.h5",
    ):
        (path.parent / name).write_text("half")
    (tmp_path / "partial-7-cd-model.keras").write_text("half")
    assert find_backups(path.parent) == [(1, path)]
    remove_partial_files(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_log_is_read_without_its_torn_row(tmp_path):
    path = tmp_path / "log.csv"
    rows = [{"epoch": 0.0, "loss": 2.5}, {"epoch": 1.0, "loss": 2.25}]
    write_log(path, rows)
    assert read_log(path) == rows
    with path.open("a") as file:
        file.write("2,1.2e-")
    assert read_log(path) == rows
    assert read_log(path, limit=1) == rows[:1]
    assert read_log(tmp_path / "none.csv") == []


ROWS = [{"epoch": 0.0, "loss": 2.5}, {"epoch": 1.0, "loss": 2.25}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"epoch,loss\n0,1.5\n1\n", "row 2 is not that of epoch 2"),
        (b"epoch,loss\n0,1.5,7\n", "row 1 is not that of epoch 1"),
        (b"epoch,loss\n0,1.x\n", "row 1 is not that of epoch 1"),
        (b"epoch,loss\n0,1.5\n2,1.5\n", "row 2 is not that of epoch 2"),
        (b"epoch,loss\n0,1\x00\n", "row 1 is not that of epoch 1"),
    ],
)
def test_damaged_logs(content, reason, tmp_path):
    (tmp_path / LOG).write_bytes(content)
    with pytest.raises(DamagedFileError, match=f"log.csv is dama.*{reason}"):
        read_log(tmp_path / LOG)
    write_log(tmp_path / LOG, [{"epoch": 0.0, "loss": math.nan}])
    assert math.isnan(read_log(tmp_path / LOG)[0]["loss"])


def test_a_stage_ends_with_the_epochs_of_its_log(tmp_path):
    write_log(tmp_path / LOG, ROWS)
    write_done(tmp_path, "loss")
    assert json.loads((tmp_path / DONE).read_text()) == {
        "epochs": 2,
        "best": ROWS[1],
    }
    assert epochs_done(tmp_path) == 2
    write_log(tmp_path / LOG, ROWS[:1])
    with pytest.raises(
        DamagedFileError,
        match=r"log\.csv is damaged: it has 1 rows, and by done\.json 2 epochs",
    ):
        epochs_done(tmp_path)
    (tmp_path / LOG).unlink()  # somebody cleaned up
    assert epochs_done(tmp_path) == 2
    (tmp_path / DONE).write_text('{"epochs": 0, "best": {}}')
    with pytest.raises(DamagedFileError, match="'epochs' is 0"):
        epochs_done(tmp_path)


def test_the_best_epoch_has_finite_losses(tmp_path):
    """Of a model that says NaN, class 0 is always the answer."""
    rows = [
        {"epoch": 0.0, "loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.2},
        {"epoch": 1.0, "loss": math.nan, "val_loss": 1.0, "val_accuracy": 0.4},
        {"epoch": 2.0, "loss": 1.0, "val_loss": math.inf, "val_accuracy": 0.4},
    ]
    write_log(tmp_path / LOG, rows)
    write_done(tmp_path, "val_accuracy")
    assert json.loads((tmp_path / DONE).read_text())["best"] == rows[0]
    (tmp_path / DONE).unlink()
    write_log(tmp_path / LOG, [{**rows[1], "epoch": 0.0}])
    with pytest.raises(
        ValueError, match=r"No epoch of .* its training diverge"
    ):
        write_done(tmp_path, "val_accuracy")
    with pytest.raises(DamagedFileError, match="no column 'val_reward' among"):
        write_done(tmp_path, "val_reward")


@pytest.mark.parametrize("text", ["", "null", "true", '"0.5"', "1.5", "NaN"])
def test_damaged_thresholds(text, tmp_path):
    (tmp_path / "threshold.json").write_text(text)
    with pytest.raises(DamagedFileError, match=r"threshold\.json is damaged"):
        read_threshold(tmp_path / "threshold.json")
