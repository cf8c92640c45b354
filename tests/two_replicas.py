"""Two replicas of one CPU, for code that runs in a process of its own."""

import subprocess
import sys

PREAMBLE = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
both = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"],
    cross_device_ops=tf.distribute.ReductionToOneDevice())
one = tf.distribute.OneDeviceStrategy("CPU:0")
"""


def check_answer(code, answer):
    """Runs `code`, which finds `one` and `both`, and expects what it prints."""
    process = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True
    )
    assert process.stdout.strip() == answer, process.stderr[-2000:]
