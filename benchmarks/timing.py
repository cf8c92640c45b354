"""Times contenders side by side in one process, and each one's memory alone.

Every round runs all contenders once, in a new order, so that a busy moment of
the machine hits all alike; medians over the rounds are compared as ratios.
Memory is the growth of the peak resident size while a fresh child process
compiles and runs one contender for the first time (Linux only).
"""

import dataclasses
import pathlib
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import keras
import numpy as np
from absl import flags

flags.DEFINE_bool("quick", False, "Tiny sizes and two rounds: a smoke run.")
flags.DEFINE_bool("jit", False, "Compile with XLA on the TensorFlow backend.")
flags.DEFINE_bool("memory", True, "Measure memory, one process for each.")
flags.DEFINE_integer("rounds", 15, "Rounds to take medians over.")
flags.DEFINE_string("memory_of", None, "Used by the child processes.")
FLAGS = flags.FLAGS


@dataclasses.dataclass
class Contender:
    """One way to compute the same thing, ready to run without arguments."""

    forward: Callable
    with_gradient: Callable


def keras_contender(fn, *inputs):
    """`fn` on the Keras backend: a graph on TensorFlow, jit on JAX."""
    backend = keras.backend.backend()
    inputs = [keras.ops.convert_to_tensor(x) for x in inputs]
    if backend == "torch":
        return _torch_contender(fn, inputs)
    forward, with_gradient = {"tensorflow": _tensorflow, "jax": _jax}[backend](
        fn
    )
    return Contender(
        lambda: _wait(forward(*inputs)),
        lambda: _wait(with_gradient(*inputs)),
    )


def torch_contender(fn, *inputs):
    """`fn` of torch tensors, eager, whatever the Keras backend is."""
    import torch

    return _torch_contender(fn, [torch.from_numpy(x) for x in inputs])


def report(title, build):
    """Prints one table; `build` maps names to makers of contenders.

    Ours comes first. A child process makes its contender alone: memory freed
    by the others would be used again and hide what this one takes.
    """
    if FLAGS.memory_of:
        table, _, name = FLAGS.memory_of.partition("/")
        if table == title:
            _print_memory(build()[name]())
        return
    contenders = {name: make() for name, make in build().items()}
    forward = _medians({n: c.forward for n, c in contenders.items()})
    both = _medians({n: c.with_gradient for n, c in contenders.items()})
    ours = next(iter(contenders))
    memory_is_known = FLAGS.memory and sys.platform == "linux"
    print(f"\n### {title} ({keras.backend.backend()})\n")
    print(
        "| contender | forward ms | with gradient ms | ours / it, forward "
        "| ours / it, with gradient | memory MB |"
    )
    print("|---|---|---|---|---|---|")
    for name in forward:
        memory = f"{_memory(title, name):.0f}" if memory_is_known else "-"
        print(
            f"| {name} | {forward[name]:.2f} | {both[name]:.2f} "
            f"| {forward[ours] / forward[name]:.2f} "
            f"| {both[ours] / both[name]:.2f} | {memory} |",
            flush=True,
        )


def random_array(*shape):
    """Normal values, float32, the same in every process."""
    return np.random.default_rng(7).standard_normal(shape, "float32")


def _medians(functions):
    """Milliseconds of each function, in rounds of shuffled order."""
    for function in functions.values():
        for _ in range(2):  # compile, and once more to warm up
            function()
    times = {name: [] for name in functions}
    for _ in range(2 if FLAGS.quick else FLAGS.rounds):
        for name in random.sample(list(functions), len(functions)):
            start = time.perf_counter()
            functions[name]()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(taken) for name, taken in times.items()}


def _memory(title, name):
    own = [each for each in sys.argv if not each.startswith("--write")]
    command = [sys.executable, *own, f"--memory_of={title}/{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _print_memory(contender):
    # Linux: forget the peak that making the inputs has left.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    contender.with_gradient()
    print(_resident("VmHWM") - before)


def _resident(field):
    """Megabytes resident now (VmRSS) or at the peak (VmHWM)."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith(field))
    return int(line.split()[1]) / 1024


def _tensorflow(fn):
    import tensorflow as tf

    def with_gradient(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = fn(*inputs)
        slopes = tape.gradient(output, inputs)
        return output, [
            s if s is None else tf.convert_to_tensor(s) for s in slopes
        ]

    options = {"autograph": False, "jit_compile": FLAGS.jit}
    return tf.function(fn, **options), tf.function(with_gradient, **options)


def _jax(fn):
    import jax

    def with_gradient(*inputs):
        output, pullback = jax.vjp(fn, *inputs)
        return output, pullback(jax.numpy.ones_like(output))

    return jax.jit(fn), jax.jit(with_gradient)


def _torch_contender(fn, inputs):
    import torch

    def forward():
        with torch.no_grad():
            return fn(*inputs)

    def with_gradient():
        leaves = [x.detach().requires_grad_(True) for x in inputs]
        output = fn(*leaves)
        slopes = torch.autograd.grad(output.sum(), leaves, allow_unused=True)
        return output, slopes

    return Contender(forward, with_gradient)


def _wait(result):
    if keras.backend.backend() == "jax":
        import jax

        jax.block_until_ready(result)
    return result
