"""Free boxes under DAF's two box losses: each finds a part of its own."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_fgvc.losses import box_area_penalty, box_overlap
from keras_fgvc.ops import box_iou

# Keras converts torch tensors in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

NUM_PARTS = 4
OBJECT = np.array([0.32, 0.6], "float32")
# Two images; boxes that overlap, too large and too small.
BOXES = np.array(
    [
        [[0.2, 0.2, 0.6, 0.6], [0.3, 0.4, 0.8, 0.8], [0.5, 0.3, 0.7, 0.5]],
        [[0.1, 0.1, 0.8, 0.6], [0.2, 0.5, 0.9, 0.9], [0.6, 0.4, 0.8, 0.7]],
    ],
    "float32",
)


def descend(overlap_weight=1.0, area_weight=1.0, steps=500):
    """The boxes after plain gradient descent on their corners."""

    def loss(object_area, boxes):
        overlap = box_overlap(boxes, weight=overlap_weight)
        area = box_area_penalty(object_area, boxes, parts_per_object=NUM_PARTS)
        return overlap + area_weight * area

    corners = keras.layers.Embedding(2, BOXES[0].size)
    model = keras.Sequential([corners, keras.layers.Reshape((3, 4))])
    model.build((2,))
    corners.set_weights([BOXES.reshape(2, -1)])
    model.compile(keras.optimizers.SGD(0.006), loss)
    images, areas = np.tile([0, 1], steps), np.tile(OBJECT, steps)
    model.fit(images, areas, batch_size=2, shuffle=False, verbose=0)
    return corners.get_weights()[0].reshape(BOXES.shape)


def largest_overlap(boxes):
    """Of any two boxes of an image, as intersection over union."""
    overlap = ops.convert_to_numpy(box_iou(boxes, boxes))
    return (overlap * (1 - np.eye(boxes.shape[1]))).max()


def area_error(boxes):
    """Largest share by which an area differs from that of a part."""
    sides = boxes[..., 2:] - boxes[..., :2]
    part = OBJECT[:, None] / NUM_PARTS
    return np.abs(sides.prod(axis=-1) / part - 1).max()


def test_boxes_part_and_take_the_area_of_a_part():
    assert largest_overlap(BOXES) > 0.15
    assert area_error(BOXES) > 0.5
    boxes = descend()
    assert largest_overlap(boxes) < 0.02
    assert area_error(boxes) < 0.05


def test_neither_loss_does_it_alone():
    assert largest_overlap(descend(overlap_weight=0.0)) > 0.1
    assert area_error(descend(area_weight=0.0)) > 0.2
