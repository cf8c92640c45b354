"""Many devices, many processes: the weights of one device come out."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_fgvc import training

ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)
LIMIT = 600  # seconds, on a machine that is busy


@pytest.mark.slow
@ON_TENSORFLOW
def test_two_devices_train_as_one(tmp_path):
    names = (
        "Baseline",
        "ELoPE",
        "PainlessAttention",
        "Coarse2Fine",
        "WS-DAN",
        "DAF",
        "FCAN",
    )
    command = ["-m", "tests.training.on_two_devices", str(tmp_path), *names]
    process = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True
    )
    expected = "equal: " + " ".join(names)
    assert process.stdout.strip().endswith(expected), process.stderr[-3000:]


def free_ports(count):
    """Ports of this machine that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(strategy, name, workdir, ports=(), **variables):
    """Starts one process, or one for each port."""
    processes = []
    for index in range(max(1, len(ports))):
        environment = os.environ | variables
        if ports:
            workers = [f"127.0.0.1:{port}" for port in ports]
            environment["TF_CONFIG"] = json.dumps(
                {
                    "cluster": {"worker": workers},
                    "task": {"type": "worker", "index": index},
                }
            )
        command = ["-m", "tests.training.on_workers", strategy, name]
        processes.append(
            subprocess.Popen(
                [sys.executable, *command, str(workdir)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    return processes


def finish(processes):
    """Waits for processes that are to print "done"; returns what else."""
    outputs = []
    for process in processes:
        output, errors = process.communicate(timeout=LIMIT)
        assert output.strip().endswith("done"), errors[-3000:]
        outputs.append(output.strip().removesuffix("done").strip())
    return outputs


def weights(workdir, number=0):
    with np.load(workdir / f"weights-{number}.npz") as file:
        return dict(file)


def assert_close(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(
            values, theirs[name], rtol=1e-5, atol=1e-5, err_msg=name
        )


def kill_in_the_second_epoch(processes, workdir):
    """The second process as soon as there is a backup, then the others."""
    started = time.monotonic()
    backup = workdir / "1-classifier" / "backup-0001.weights.h5"
    while not backup.exists():
        assert time.monotonic() - started < LIMIT
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    for process in reversed(processes):
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@ON_TENSORFLOW
@pytest.mark.parametrize("name", ["ELoPE", "Coarse2Fine"])
def test_two_processes_train_as_one(name, tmp_path):
    """ELoPE's are killed in the middle and started again."""
    alone, together = tmp_path / "one", tmp_path / "two"
    finish(start("none", name, alone))
    if name == "ELoPE":
        killed = start("multiworker", name, together, free_ports(2))
        kill_in_the_second_epoch(killed, together)
    finish(start("multiworker", name, together, free_ports(2)))
    assert_close(weights(together), weights(alone))
    assert_close(weights(together, 1), weights(together))
    if name == "ELoPE":
        log = (together / "1-classifier" / "log.csv").read_text()
        assert log.count("\n") == 3  # headings and two epochs, none twice


def test_none_is_for_every_backend():
    with training.make_strategy().scope():
        assert keras.Variable(1.0) is not None


@ON_TENSORFLOW
def test_errors(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="`name` must be one of 'none', 'mirr"):
        training.make_strategy("horovod")
    with pytest.raises(ValueError, match=r"TF_CONFIG on each.*not set"):
        training.make_strategy("multiworker")
    with pytest.raises(ValueError, match=r"finds no TPU .mine.*Give its"):
        training.make_strategy("tpu", tpu="mine")


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")
def test_two_devices_train_as_one_on_jax(tmp_path):
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    alone = finish(start("none", "ELoPE", tmp_path / "one", **two))
    both = finish(start("mirrored", "ELoPE", tmp_path / "two", **two))
    assert (alone, both) == (["devices 1"], ["devices 2"])
    assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"))


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="the other backends"
)
def test_strategies_of_tensorflow():
    with pytest.raises(ValueError, match="is of the TensorFlow backend"):
        training.make_strategy("multiworker")
