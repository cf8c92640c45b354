import math

import pytest

from keras_fgvc._files import move_into_place
from keras_fgvc.recipes.monitoring import best_epoch
from keras_fgvc.training.files import (
    find_backups,
    read_log,
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


def test_half_written_file_never_takes_the_place(tmp_path):
    path = tmp_path / "backup-0001.weights.h5"
    path.write_text("whole")

    def fail(partial):
        partial.write_text("ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        move_into_place(path, fail)
    assert path.read_text() == "whole"
    (tmp_path / "partial-backup-0002.weights.h5").write_text("half")
    assert find_backups(tmp_path) == [(1, path)]


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
