import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from keras_fgvc.training import lock
from tests.training.double_starts import ROOT, double_start

ME = {"process": os.getpid(), "host": lock._me()["host"], "since": "then"}


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(folder, **changes):
    """Writes the lock of a process that is gone."""
    path = folder / lock.FILE
    path.write_text(json.dumps({**ME, **changes}))
    return path


def hold_in_a_thread(folder):
    """Tries to take a lock in another thread; returns the error or None."""
    errors = []

    def run():
        try:
            with lock.held(folder):
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def test_it_names_its_process_and_is_removed(tmp_path):
    path = tmp_path / lock.FILE
    with lock.held(tmp_path):
        told = json.loads(path.read_text())
        assert told["process"] == os.getpid()
        assert set(told) == {"process", "host", "since"}
    assert not path.exists()
    with pytest.raises(KeyError), lock.held(tmp_path):
        raise KeyError
    assert not path.exists()


def test_folders_that_stay_empty_are_removed(tmp_path):
    with lock.held(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    with lock.held(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert (tmp_path / "new" / "file").exists()


def test_one_at_a_time(tmp_path):
    message = (
        rf"in use: process {os.getpid()} on .* \(since .*\) trains there. Wait"
    )
    with lock.held(tmp_path):
        with pytest.raises(ValueError, match=message):
            raise hold_in_a_thread(tmp_path)
        with lock.held(tmp_path), lock.held(tmp_path):  # the same thread
            pass
        with lock.held(tmp_path, is_needed=False):  # a worker of the chief
            pass
        assert (tmp_path / lock.FILE).exists()
    assert hold_in_a_thread(tmp_path) is None


def test_a_lock_that_was_left_is_taken_over(tmp_path, capsys):
    process = dead_process()
    path = leave(tmp_path, process=process)
    with lock.held(tmp_path):
        assert json.loads(path.read_text())["process"] == os.getpid()
        assert f"process {process} on" in capsys.readouterr().out
    leave(tmp_path)  # its number is in use again, by this process
    with lock.held(tmp_path):
        assert "has ended without removing" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b'{"proc', b"\xff", b"[]"])
def test_a_torn_lock_is_taken_over(content, tmp_path):
    (tmp_path / lock.FILE).write_bytes(content)
    with lock.held(tmp_path):
        pass
    assert not (tmp_path / lock.FILE).exists()


def test_a_lock_of_another_host_is_left(tmp_path):
    path = leave(tmp_path, host="elsewhere")
    with (
        pytest.raises(ValueError, match=r"on elsewhere .*if it does not, remo"),
        lock.held(tmp_path),
    ):
        pass
    assert path.exists()
    path.unlink()
    with lock.held(tmp_path):
        pass


def test_where_the_system_locks_no_files(tmp_path, monkeypatch):
    """The process's number decides, as on some network folders."""
    monkeypatch.setattr(lock, "fcntl", None)
    path = leave(tmp_path)
    with (
        pytest.raises(ValueError, match=rf"process {os.getpid()} .*remove "),
        lock.held(tmp_path),
    ):
        pass
    leave(tmp_path, process=dead_process())
    with lock.held(tmp_path):
        assert isinstance(hold_in_a_thread(tmp_path), ValueError)
    assert not path.exists()


CODE = """
import os, signal, sys
from keras_fgvc.training import lock
with lock.held(sys.argv[1]):
    print("held", flush=True)
    signal.pause()
"""


def start_holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_are_ended(number, tmp_path, capsys):
    process = start_holder(tmp_path)
    message = f"in use: process {process.pid} on"
    with pytest.raises(ValueError, match=message), lock.held(tmp_path):
        pass
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number
    # Nothing can be done on SIGKILL: the next one takes the lock over.
    assert (tmp_path / lock.FILE).exists() == (number == signal.SIGKILL)
    with lock.held(tmp_path):
        pass
    told = f"process {process.pid}" in capsys.readouterr().out
    assert told == (number == signal.SIGKILL)


@pytest.mark.slow
def test_of_two_trainings_one_refuses(tmp_path):
    assert dict(+double_start(tmp_path / "run")) == {
        "trained": 1,
        "refused": 1,
        "whole": 1,
    }
