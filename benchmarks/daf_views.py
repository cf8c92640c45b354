"""DAF's student, teacher and parts, from a finished run.

    keras-fgvc train --method daf --data FOLDER --weights imagenet --workdir W
    python benchmarks/daf_views.py --workdir=W --points=FOLDER/parts.npz

The rows of the paper's Table 3 are runs with --arguments, see examples/daf.py.
Prints what student, teacher and fusion each reach (and their plain mean beside
a learned fusion), how far student and teacher are apart, how long the parts are
over their short side, with --points how many of the proposed parts hold a
point of the object, and draws W/parts.png: test images with their parts, heat
map and saliency map, and the views that judge the parts.

--points takes an .npz file with `path`, the images' paths in the data folder,
and `parts_xyv`, `(images, points, 3)`: x, y in pixels and whether the point is
visible.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags
from samples import collect, open_finished, sample_images, save_cells

from keras_fgvc import layers
from keras_fgvc.ops import saliency_map

FLAGS = flags.FLAGS
flags.DEFINE_string("points", None, "Where the objects' points are.")
MEMBERS = ("student", "teacher", "mean", "fusion")
KEPT = (*(f"{name}_logits" for name in MEMBERS), "part_boxes")
NUM_PICTURES, RANDOM_BOXES = 5, 100


def main(_):
    run, model, images = open_finished()

    def read(pixels, outputs):
        return {n: outputs[n] for n in KEPT if n in outputs}

    batches = collect(run, model, images, read)
    test = images.subset("test")
    outputs = {n: np.concatenate([b[n] for b in batches]) for n in batches[0]}
    report(outputs, test.labels)
    boxes = outputs["part_boxes"]
    sides = np.sort(boxes[..., 2:] - boxes[..., :2], axis=-1)
    ratio = np.mean(sides[..., 1] / np.maximum(sides[..., 0], 1e-6))
    print(f"test, parts: long over short side {ratio:.2f}")
    if FLAGS.points:
        folder = FLAGS.data or run.opened_by["name_or_path"]
        report_points(test, outputs["part_boxes"], pathlib.Path(folder))
    show_parts(model, images, run.recipe.load_size)


def report(outputs, labels):
    """Prints each one's accuracy, and what student and teacher disagree on."""
    for name in MEMBERS:
        if f"{name}_logits" in outputs:
            right = outputs[f"{name}_logits"].argmax(axis=1) == labels
            print(f"test, {name}: top-1 {right.mean():.4f}")
    if "teacher_logits" in outputs:
        teacher, student = (
            keras.ops.log_softmax(outputs[f"{name}_logits"])
            for name in ("teacher", "student")
        )
        apart = keras.ops.exp(teacher) * (teacher - student)
        apart = float(keras.ops.mean(keras.ops.sum(apart, axis=1)))
        print(f"test: KL(teacher, student) {apart:.4f}")


def report_points(examples, boxes, folder):
    """Prints how many boxes hold a visible point, and how many would."""
    points = read_points(examples.paths, folder)
    rng = np.random.default_rng(FLAGS.seed)
    sides = boxes[..., 2:] - boxes[..., :2]
    by_chance = []
    for _ in range(RANDOM_BOXES):
        corners = rng.uniform(size=sides.shape) * (1 - sides)
        moved = np.concatenate([corners, corners + sides], axis=-1)
        by_chance.append(share_with_a_point(moved, points))
    found = share_with_a_point(boxes, points)
    print(
        f"{100 * found:.1f} % of the parts hold a point of the object, "
        f"{100 * np.mean(by_chance):.1f} % at random places"
    )


def read_points(paths, folder):
    """`(images, points, 2)`, y and x from 0 to 1, NaN where not visible."""
    if paths is None:
        raise app.UsageError("--points needs images that are files.")
    with np.load(FLAGS.points) as file:
        rows = {name: n for n, name in enumerate(file["path"])}
        marks = file["parts_xyv"]
    found = []
    for path in paths:
        name = pathlib.Path(path).relative_to(folder).as_posix()
        x, y, visible = marks[rows[name]].T
        width, height = keras.utils.load_img(path).size
        place = np.stack([y / height, x / width], axis=-1)
        found.append(np.where(visible[:, None] > 0, place, np.nan))
    return np.stack(found)


def share_with_a_point(boxes, points):
    """Share of boxes `(n, m, 4)` with one of `(n, points, 2)` inside."""
    boxes, points = boxes[:, :, None], points[:, None]
    inside = (points >= boxes[..., :2]) & (points < boxes[..., 2:])
    return inside.all(axis=-1).any(axis=-1).mean()


def show_parts(model, images, size):
    """A row an image, as in the paper's Figure 2."""
    pixels = sample_images(images, size, NUM_PICTURES)
    outputs = model.predict(pixels, verbose=0)
    boxes = outputs["part_boxes"]
    heatmaps = outputs.get("heatmap", [None] * len(pixels))
    views = layers.ProposalViews(
        noise_stddev=model.noise_stddev, blur_sigma=model.blur_sigma
    )
    views = keras.ops.convert_to_numpy(views([pixels, boxes]))
    saliency = saliency_map(boxes, size, size)
    saliency = 255 * keras.ops.convert_to_numpy(saliency)
    cells = []  # of the grid: picture, title, heat map, boxes
    for image, photograph in enumerate(pixels):
        mask = np.repeat(saliency[image, ..., None], 3, axis=-1)
        cells.append((photograph, "parts", None, boxes[image]))
        cells.append((photograph, "heat map", heatmaps[image], None))
        cells.append((mask, "saliency map", None, None))
        for part, view in enumerate(views[image], start=1):
            cells.append((view, f"view of part {part}", None, None))
    save_cells("parts.png", cells, len(cells) // len(pixels))


if __name__ == "__main__":
    app.run(main)
