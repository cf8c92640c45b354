"""Gathers evidence on a GPU in minutes, without TensorFlow and a network.

    python benchmarks/gpu_evidence.py --pack=BIRDS --birds=birds.npz
    KERAS_BACKEND=jax python benchmarks/gpu_evidence.py --birds=birds.npz \
        --weights=FILE --out=evidence.jsonl --minutes=9
    python benchmarks/gpu_evidence.py --table=evidence.jsonl

The first command, on a machine that has the package and the photographs (a
folder with CUB's `split.csv`), packs them as JPEG files into one file of at
most --megabytes. The second needs JAX, Keras, NumPy and Pillow; PyTorch and
torchvision are compared with where they are there. It first times operations
and steps, then trains the rows of equal_rows.py at each of --sizes and --seeds
in bfloat16. Each result is a line of JSON; what has a line is not run again.
No run begins that would end after --minutes. The third prints the table.
"""

import csv
import dataclasses
import gc
import io
import json
import pathlib
import time

import keras
import numpy as np
from absl import app, flags
from equal_rows import changed, make_recipe, photographs
from equal_search import Rates
from gpu_operations import operation_times, step_times
from gpu_training import load_birds, train_row

FLAGS = flags.FLAGS
flags.DEFINE_string("pack", None, "Folder of photographs with a split.csv.")
flags.DEFINE_string("birds", None, "The packed file.")
flags.DEFINE_integer("megabytes", 46, "Of the packed file, at most.")
flags.DEFINE_string("weights", None, "File with weights of MobileNetV2.")
flags.DEFINE_string("out", "evidence.jsonl", "Where results are added.")
flags.DEFINE_string("table", None, "Prints the table of such a file.")
flags.DEFINE_float("minutes", 9.0, "No run begins that would end later.")
flags.DEFINE_list("sizes", ["224", "448"], "Sides of the images, in pixels.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the runs.")
flags.DEFINE_string("rows", None, "Names in equal_rows.py, ; between them.")
flags.DEFINE_list("rates", ["1e-4", "1e-3"], "Of backbone and head.")
flags.DEFINE_integer("epochs", 8, "Passes of the classifying network.")
flags.DEFINE_integer("limit", None, "Images of each split, for a trial.")
flags.DEFINE_string("backbone", "mobilenet_v2", "See backbones.available().")
flags.DEFINE_string("dtype", "mixed_bfloat16", "Keras's dtype policy.")
flags.DEFINE_bool("timings", True, "Whether to time operations and steps.")
ROWS = (
    "Baseline",
    "ELoPE",
    "ELoPE, centred box",
    "PainlessAttention",
    "Coarse2Fine",
    "FCAN",
    "FCAN, fixed regions",
    "DAF",
    "Baseline, 10/7 of the side",
    "Baseline, twice the passes",
)
QUALITIES = (75, 65, 55, 45, 35)  # of JPEG, until the file is small enough


def main(_):
    if FLAGS.pack:
        return pack(pathlib.Path(FLAGS.pack), pathlib.Path(FLAGS.birds))
    if FLAGS.table:
        return print(table(read_lines(FLAGS.table)))
    begun = time.time()
    keras.mixed_precision.set_global_policy(FLAGS.dtype)
    keras.config.disable_interactive_logging()
    share_compilations()
    birds = load_birds(FLAGS.birds, FLAGS.limit)
    out = pathlib.Path(FLAGS.out)
    if FLAGS.timings:
        time_all(out)
    seconds = {}  # of a row at a size, the last time
    for seed in map(int, FLAGS.seeds):
        for size in map(int, FLAGS.sizes):
            for name in FLAGS.rows.split(";") if FLAGS.rows else ROWS:
                key = {"row": name, "size": size, "seed": seed}
                left = 60 * FLAGS.minutes - (time.time() - begun)
                if is_done(out, key) or seconds.get((name, size), 0) > left:
                    continue
                if left < 0:
                    return print("The time is up; call again to go on.")
                started = time.time()
                found = train(name, size, seed, birds)
                seconds[name, size] = time.time() - started
                add_line(out, {**key, **found, "seconds": seconds[name, size]})
                gc.collect()
    print(table(read_lines(out)))


def train(name, size, seed, birds):
    """Trains one row once; returns its figures."""
    setting = photographs()
    arguments = {**setting.arguments, **setting.rows[name].arguments}
    if size >= 448:  # a stride of 32 gives the paper's 14 x 14 cells
        arguments["output_stride"] = None
    rows = {
        **setting.rows,
        name: changed(setting.rows[name], arguments=arguments),
    }
    setting = dataclasses.replace(
        setting, image_size=size, epochs=FLAGS.epochs, rows=rows
    )
    rates = Rates(*map(float, FLAGS.rates))
    recipe = make_recipe(setting, name, rates, setting.epochs)
    options = {"backbone": FLAGS.backbone, "weights": FLAGS.weights}
    return train_row(recipe, birds, seed, **options)


def time_all(out):
    for key, measure in (
        ({"timing": "operations"}, operation_times),
        (
            {"timing": "steps"},
            lambda: step_times(FLAGS.backbone, int(FLAGS.sizes[0])),
        ),
    ):
        if not is_done(out, key):
            add_line(out, {**key, "ratios": measure(), **machine()})


def share_compilations():
    """Two runs of one row compile once."""
    if keras.backend.backend() == "jax":
        import jax

        folder = pathlib.Path(FLAGS.out).with_suffix(".compiled")
        jax.config.update("jax_compilation_cache_dir", str(folder))


def machine():
    if keras.backend.backend() != "jax":
        return {"device": keras.backend.backend()}
    import jax

    return {"device": jax.devices()[0].device_kind, "jax": jax.__version__}


def pack(folder, path):
    """Writes JPEG bytes, labels, boxes and splits of photographs."""
    with (folder / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["label"] for row in rows})
    for quality in QUALITIES:
        files = [encode(folder / row["path"], quality) for row in rows]
        size = sum(map(len, files)) / 1e6
        print(f"quality {quality}: {size:.1f} MB")
        if size < FLAGS.megabytes:
            break
    else:
        raise app.UsageError(f"{size:.0f} MB is more than --megabytes allows.")
    corners = ("y_min", "x_min", "y_max", "x_max")
    sides = ("height", "width", "height", "width")
    boxes = [
        [
            float(row[c]) / float(row[s])
            for c, s in zip(corners, sides, strict=True)
        ]
        for row in rows
    ]
    np.savez(
        path,
        bytes=np.frombuffer(b"".join(files), np.uint8),
        ends=np.cumsum([len(file) for file in files]),
        labels=np.int32([names.index(row["label"]) for row in rows]),
        boxes=np.float32(boxes),
        splits=np.array([row["split"] for row in rows]),
    )
    print(f"{path}: {len(rows)} photographs of {len(names)} classes")


def encode(path, quality):
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return min(path.read_bytes(), buffer.getvalue(), key=len)


def read_lines(path):
    path = pathlib.Path(path)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def is_done(path, key):
    return any(key.items() <= line.items() for line in read_lines(path))


def add_line(path, line):
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def table(lines):
    """Markdown: the timings, and a row for each method and size."""
    text = []
    for line in lines:
        if "timing" in line:
            text += [f"{line['timing']} ({line['device']}):", ""]
            text += [f"- {name}: {r:.3g}" for name, r in line["ratios"].items()]
            text.append("")
    runs = {}
    for line in lines:
        if "row" in line:
            runs.setdefault((line["size"], line["row"]), []).append(line)
    text += ["| size | | seeds | top-1 % (spread) | NLL | IoU >= 0.5 % |"]
    text += ["|---" * 6 + "|"]
    for (size, name), found in sorted(runs.items()):
        top1 = [100 * line["top1"] for line in found]
        spread = f" ({np.std(top1, ddof=1):.2f})" if len(top1) > 1 else ""
        boxes = [100 * line["found"] for line in found if line["found"]]
        loss = np.mean([line["negative_log_likelihood"] for line in found])
        text.append(
            f"| {size} | {name} | {len(found)} | {np.mean(top1):.2f}{spread} | "
            f"{loss:.3f} | {f'{np.mean(boxes):.1f}' if boxes else ''} |"
        )
    return "\n".join(text)


if __name__ == "__main__":
    app.run(main)
