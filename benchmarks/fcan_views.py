"""The rows of FCAN's Table 6, and its Figure 3, from a finished run.

    keras-fgvc train --method fcan --data FOLDER --weights imagenet --workdir W
    python benchmarks/fcan_views.py --workdir=W

The fixed regions in the middle are a run of their own, trained with
--arguments 'regions="center"'. Prints the accuracy of the views and of their
means, and draws W/glimpses.png: test images with their regions, and each score
map beside the region chosen by it.
"""

import keras
import numpy as np
from absl import app, flags
from samples import collect, open_finished, sample_images, save_cells

from keras_fgvc.ops import crop_and_resize

FLAGS = flags.FLAGS
NUM_PICTURES = 6


def main(_):
    run, model, images = open_finished()
    rng = np.random.default_rng(FLAGS.seed)

    def read(pixels, outputs):
        crops = random_crops(model, pixels, outputs["part_boxes"], rng)
        return softmax(outputs["view_logits"]), crops

    views = collect(run, model, images, read)
    report(model, images.subset("test").labels, views)
    show_glimpses(model, images, run.recipe.load_size)


def report(model, labels, views):
    """Prints the accuracy of the views and of their means."""
    views, crops = map(np.concatenate, zip(*views, strict=True))
    crops = np.concatenate([views[:, :1], crops], axis=1)
    names = [f"{n}x{n} {model.regions}" for n in model.part_sizes]
    rows = {"whole image": views[:, :1]}
    for part, name in enumerate(names, start=1):
        rows[f"{name} alone"] = views[:, [part]]
    rows[f"whole image + {names[-1]}"] = views[:, [0, -1]]
    rows["whole image + " + ", ".join(names)] = views
    rows["whole image + random crops (no training on them)"] = crops
    for name, probabilities in rows.items():
        right = probabilities.mean(axis=1).argmax(axis=1) == labels
        print(f"| {name} | {100 * right.mean():.2f} |")


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def random_crops(model, pixels, boxes, rng):
    """Classifies random regions with the whole image's network."""
    sides = boxes[..., 2:] - boxes[..., :2]
    corners = rng.uniform(size=sides.shape) * (1 - sides)
    boxes = np.concatenate([corners, corners + sides], axis=-1)
    size = (model.crop_size, model.crop_size)
    crops = crop_and_resize(
        pixels.astype("float32"), boxes.astype("float32"), size
    )
    network = model.classifiers[0]
    parts = range(len(model.part_sizes))
    logits = [network.predict_on_batch(crops[:, part]) for part in parts]
    return softmax(np.stack(logits, axis=1))


def show_glimpses(model, images, size):
    """A row an image, as in the paper's Figure 3."""
    pixels = sample_images(images, size, NUM_PICTURES)
    outputs = model.predict(pixels, verbose=0)
    side = (size, size)
    crops = crop_and_resize(
        pixels.astype("float32"), outputs["part_boxes"], side
    )
    crops = keras.ops.convert_to_numpy(crops)
    scores = outputs.get("score_maps")
    cells = []  # of the grid: picture, title, heat map, boxes
    for image, photograph in enumerate(pixels):
        found = outputs["part_boxes"][image]
        cells.append((photograph, "regions", None, found))
        for part, size in enumerate(model.part_sizes):
            name = f"{size}x{size}"
            if scores is not None:
                heatmap = scores[image, ..., part]
                cells.append((photograph, f"scores, {name}", heatmap, None))
            cells.append((crops[image, part], f"region, {name}", None, None))
    save_cells("glimpses.png", cells, len(cells) // len(pixels))


if __name__ == "__main__":
    app.run(main)
