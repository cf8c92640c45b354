"""Trains a recipe's stages on packed photographs, by Keras and NumPy alone."""

import concurrent.futures
import dataclasses
import functools
import io

import keras
import numpy as np

from keras_fgvc import metrics, models
from keras_fgvc.models.declaration import meanings_of, object_map
from keras_fgvc.models.fcan import graph, tasks
from keras_fgvc.models.registry import get_method
from keras_fgvc.training.optimizers import make_optimizer

PREDICTED = 64  # images at a time
VALIDATION = 10  # one of so many training images


@dataclasses.dataclass(frozen=True, eq=False)
class Birds:
    """Encoded photographs with labels and boxes, and rows of each split."""

    files: tuple
    labels: np.ndarray
    boxes: np.ndarray
    rows: dict

    @functools.lru_cache(maxsize=2)  # noqa: B019, one object a process
    def pixels(self, side):
        """uint8 `(n, side, side, 3)` of all photographs."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            images = pool.map(lambda f: decode(f, side), self.files)
            return np.stack(list(images))

    @property
    def classes(self):
        return int(self.labels.max()) + 1


def load_birds(path, limit=None):
    """Reads what gpu_evidence.py packed."""
    with np.load(path) as packed:
        parts = np.split(packed["bytes"], packed["ends"][:-1])
        labels, boxes, splits = (
            packed[name] for name in ("labels", "boxes", "splits")
        )
    train = np.flatnonzero(splits == "train")
    rows = {
        "train": np.delete(train, np.s_[::VALIDATION]),
        "validation": train[::VALIDATION],
        "test": np.flatnonzero(splits == "test"),
    }
    if limit:
        rows = {
            n: r[np.linspace(0, len(r) - 1, limit).astype(int)]
            for n, r in rows.items()
        }
    files = tuple(part.tobytes() for part in parts)
    return Birds(files, labels, boxes, rows)


def decode(file, side):
    from PIL import Image

    with Image.open(io.BytesIO(file)) as image:
        image.draft("RGB", (side, side))  # decodes at 1/2 or 1/4
        image = image.convert("RGB").resize((side, side), Image.BILINEAR)
        return np.asarray(image)


class Batches(keras.utils.PyDataset):
    """Shuffled batches; crops and flips of images where they are asked for.

    Args:
        inputs: Dict or array, one entry for each image.
        labels: Of the images.
        size: Side of the random crops, in pixels; None for whole images.
        flips: Whether images are mirrored at random.
    """

    def __init__(
        self, inputs, labels, batch_size, seed, size=None, flips=False
    ):
        super().__init__(workers=2, max_queue_size=4)
        self.inputs, self.labels, self.batch_size = inputs, labels, batch_size
        self.size, self.flips = size, flips
        self.rng = np.random.default_rng(seed)
        self.order = self.rng.permutation(len(labels))

    def __len__(self):
        return max(1, len(self.labels) // self.batch_size)

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.labels))

    def __getitem__(self, number):
        begin = number * self.batch_size
        rows = self.order[begin : begin + self.batch_size]
        labels = self.labels[rows]
        if isinstance(self.inputs, dict):
            return {n: v[rows] for n, v in self.inputs.items()}, labels
        batch = self.inputs[rows]
        if self.size or self.flips:
            batch = np.stack([self.change(image) for image in batch])
        return batch, labels

    def change(self, image):
        if self.size:
            top, left = self.rng.integers(0, len(image) - self.size + 1, 2)
            image = image[top : top + self.size, left : left + self.size]
        if self.flips and self.rng.random() < 0.5:
            image = image[:, ::-1]
        return image


def train_row(recipe, birds, seed, *, backbone, weights):
    """Trains a recipe from its first stage; returns figures of the test."""
    keras.utils.clear_session(free_memory=True)
    keras.utils.set_random_seed(seed)
    model = build(recipe, backbone, birds.classes, weights)
    for stage in recipe.stages:
        if stage.name == "upsampler":  # it starts as exact bilinear resizing
            continue
        model.begin_stage(stage.name)
        task, batches = what_trains(model, recipe, stage, birds, seed)
        task.compile(make_optimizer(stage, len(batches), model))
        task.fit(batches, epochs=stage.epochs, verbose=0)
        if stage.name == "localizer" and recipe.method == "ELoPE":
            choose_threshold(model, birds, recipe.load_size)
    return figures(model, birds, recipe.load_size)


def build(recipe, backbone, classes, weights):
    arguments = dict(recipe.arguments)
    method = get_method(recipe.method)
    if method not in (models.Baseline, models.PainlessAttention):
        arguments["image_size"] = recipe.image_size
    return method(backbone, classes, weights=weights, **arguments)


def what_trains(model, recipe, stage, birds, seed):
    """The model of a stage, and its batches."""
    rows, batch_size = (
        birds.rows["train"],
        stage.batch_size or recipe.batch_size,
    )
    labels, side = birds.labels[rows], recipe.load_size
    if recipe.method == "FCAN" and stage.name == "localizer":
        maps = predict(tasks.map_extractor(model), birds, side, rows)
        return tasks.GlimpseTask(model), Batches(maps, labels, batch_size, seed)
    if recipe.method == "FCAN" and stage.name == "parts":
        inputs = {
            "image": birds.pixels(side)[rows],
            "boxes": part_boxes(model, birds, side, rows),
        }
        return tasks.PartsTask(model), Batches(inputs, labels, batch_size, seed)
    crop = stage.augmentation.random_crop
    loaded = side if crop is None else round(side / crop[0] ** 0.5)
    batches = Batches(
        birds.pixels(loaded)[rows],
        labels,
        batch_size,
        seed,
        size=None if loaded == side else side,
        flips=stage.augmentation.horizontal_flip,
    )
    is_fcan = recipe.method == "FCAN"
    return (tasks.WholeTask(model) if is_fcan else model), batches


def part_boxes(model, birds, side, rows):
    if model.regions == "center":
        boxes = graph.middle_boxes(model.part_sizes, model.map_size)
        return np.tile(boxes, (len(rows), 1, 1))
    maps = predict(tasks.map_extractor(model), birds, side, rows)
    return tasks.region_finder(model).predict(maps, PREDICTED, verbose=0)


def predict(model, birds, side, rows):
    return model.predict(birds.pixels(side)[rows], PREDICTED, verbose=0)


def choose_threshold(model, birds, side):
    """The best for the boxes of the validation images."""
    rows = birds.rows["validation"]
    name = object_map(meanings_of(model))
    metric = metrics.MaxBoxAccuracy(
        num_thresholds=20, iou_thresholds=(0.5,), output=name
    )
    outputs = predict(model, birds, side, rows)
    metric.update_state(targets(birds, rows), outputs)
    model.set_threshold(metric.best_threshold())


def targets(birds, rows):
    return {"label": birds.labels[rows], "box": birds.boxes[rows]}


def figures(model, birds, side):
    """Accuracy and likelihood of the test, and how often boxes are right."""
    rows = birds.rows["test"]
    outputs = predict(model, birds, side, rows)
    answers = np.asarray(outputs["probabilities"], np.float64)
    labels = birds.labels[rows]
    own = answers[np.arange(len(rows)), labels]
    found = None
    if "boxes" in outputs:
        metric = metrics.LocalizationAccuracy(iou_threshold=0.5)
        metric.update_state(targets(birds, rows), outputs)
        found = float(metric.result())
    return {
        "top1": float(np.mean(answers.argmax(axis=1) == labels)),
        "negative_log_likelihood": float(-np.log(own + 1e-12).mean()),
        "found": found,
    }
