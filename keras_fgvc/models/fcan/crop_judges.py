"""FCAN's localiser judged on real crops, by judges that never saw the image.

The paper judges a region by its part of the whole image's feature map. A cell
near the end of a deep network sees the whole image, and the network has been
fine-tuned on these images: nearly every region then names the class. Here the
regions of a grid of places are cut out of the image and go through the network
once; the judges are linear on these features, in folds.
"""

import keras
import numpy as np
from keras import ops

from keras_fgvc.layers import PartCrop
from keras_fgvc.models._replicated import ReplicatedModel
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.fcan import graph, tasks
from keras_fgvc.ops import log_probability, window_boxes, window_scores

# The least probability of a class whose logarithm is taken.
TINY = 1e-30


def places_per_side(judge, places, part_sizes, map_size, num_samples):
    """Returns what the glimpses choose among, by an `FCAN`'s arguments.

    For crops at most as many per side as every part has windows.

    Raises:
        ValueError: If the arguments do not fit how regions are judged.
    """
    if judge != "crops":
        if num_samples is None:
            raise ValueError(
                "`num_samples` must be an integer, unless judge='crops' gives "
                "the reward of every place. Received: num_samples=None with "
                f"judge={judge!r}."
            )
        return places
    if isinstance(places, str):
        raise ValueError(
            "`places` must be an integer from 2 with judge='crops', the "
            f"number of crops per side. Received: places={places!r}."
        )
    most = min(map_size) - max(part_sizes) + 1
    if most < 2:
        raise ValueError(
            "With judge='crops' each part must have two windows per side at "
            f"least. Received: part_sizes={part_sizes} on a map of "
            f"{map_size[0]} x {map_size[1]} cells. Give a larger "
            "`image_size` or smaller parts."
        )
    return min(places, most)


def places_of(glimpse, map_size):
    """Returns the cells that a glimpse chooses among, int32 `(places, 2)`."""
    flat = np.zeros((1, *map_size), "float32")
    scores = window_scores(flat, glimpse.region_size, glimpse.places)
    return np.argwhere(ops.convert_to_numpy(scores)[0] == 0).astype("int32")


def place_boxes(model):
    """Returns the boxes of all places, `(parts, places, 4)`, NumPy."""
    size = model.map_size
    boxes = [
        window_boxes(places_of(each, size)[None], each.region_size, size)
        for each in model.glimpses
    ]
    return ops.convert_to_numpy(ops.concatenate(boxes, axis=0))


def crop_reader(model):
    """Images to the features of their crops, `(b, parts, places, c)`."""
    image = keras.Input((None, None, 3), dtype="float32")
    boxes = place_boxes(model)
    size = (model.crop_size, model.crop_size)
    every = graph.Constant(boxes.reshape(-1, 4))(image)
    crops = PartCrop(size, dtype="float32")([image, every])
    crops = ops.reshape(crops, (-1, *size, 3))
    maps = graph.backbone_of(model.classifiers[0])(crops)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    shape = (-1, *boxes.shape[:2], pooled.shape[-1])
    return ReplicatedModel(image, ops.reshape(pooled, shape))


class CropTask(FineGrainedModel, keep_arguments=False):
    """The policy on maps, and linear judges of the crops' features.

    Inputs:
        `"maps"` `(b, h, w, c)`; `"crops"` `(b, parts, places, c)`; `"own"`
        `(b, folds)`, which sums to one: the judges whose verdict counts for
        the image. In training the others learn from it.

    Outputs:
        `"scores"` `(b, h, w, parts)`; `"locations"` `(b, parts, samples, 2)`;
        `"lessons"` `(b, parts, places, folds, classes)`, logits; `"learns"`
        `(b, folds)`, 1 for each judge that learns; `"judgements"` `(b, parts,
        places, classes)`, log probabilities; `"probabilities"` `(b, classes)`
        of the last part, averaged over samples.
    """

    def __init__(self, model):
        places = np.stack(
            [places_of(g, model.map_size) for g in model.glimpses]
        )
        parts, count, _ = places.shape
        maps = tasks.maps_input(model)
        width = graph.backbone_of(model.classifiers[0]).output.shape[-1]
        crops = keras.Input((parts, count, width), name="crops")
        own = keras.Input((model.folds,), name="own")
        scores, locations = graph.glimpse_at(
            model.glimpses, maps, model.condition
        )
        lessons = [
            tasks.judge_layer(model, t, "crops", model.folds)(crops[:, t])
            for t in range(parts)
        ]
        shape = (-1, parts, count, model.folds, model.num_classes)
        lessons = ops.reshape(ops.stack(lessons, axis=1), shape)
        judged = ops.einsum("btpfc,bf->btpc", ops.softmax(lessons), own)
        last = ops.mean(_at(locations[-1], places[-1]), axis=1)  # (b, p)
        super().__init__(
            {"maps": maps, "crops": crops, "own": own},
            {
                "scores": ops.stack(scores, axis=-1),
                "locations": ops.stack(locations, axis=1),
                "lessons": lessons,
                "learns": _learns(own),
                "judgements": ops.log(ops.maximum(judged, TINY)),
                "probabilities": ops.einsum("bp,bpc->bc", last, judged[:, -1]),
            },
            num_classes=model.num_classes,
            name="crop_task",
        )
        self.places = places
        self.middle = _middle(place_boxes(model))
        self.greedy = model.reward == "greedy"
        self.is_exact = model.num_samples is None
        self.baseline = tasks.make_baseline(model)
        self.loss_weights = tasks.policy_weights(model)

    def loss_terms(self, labels, outputs, training):
        losses_of, correct = tasks.verdicts(labels, outputs["judgements"])
        verdicts = losses_of, ops.cast(correct, "float32")
        drawn = _each(_at, outputs["locations"], self.places)  # (b, t, s, p)
        is_exact = self.is_exact and training
        choice = ops.mean(drawn, axis=2)
        if is_exact:
            choice = self._policy(outputs["scores"])
        table = expected_rewards(*verdicts, choice, self.greedy)
        gained = ops.sum(choice * table, axis=-1)  # (b, t)
        if is_exact:
            policy = -ops.mean(gained, axis=1)
        else:
            policy = self._sampled(outputs, drawn, table, training)
        in_middle = ops.convert_to_tensor(self.middle)
        middle = expected_rewards(*verdicts, in_middle, self.greedy)
        middle = ops.sum(in_middle * middle, axis=-1)
        taught = losses_of
        if training:
            taught = _losses_of_learners(labels, outputs)
        return {
            "policy": policy,
            "cross_entropy": ops.mean(taught, axis=(1, 2)),
            "reward": ops.mean(gained, axis=1),
            "reward_lead": ops.mean(gained - middle, axis=1),
            "entropy": tasks.mean_entropy(outputs["scores"]),
        }

    def _policy(self, scores):
        """Probability of each place, `(b, t, p)`."""
        return _each(
            lambda scores, places: ops.exp(
                log_probability(scores, _repeat(places, scores))
            ),
            ops.moveaxis(scores, -1, 1),
            self.places,
        )

    def _sampled(self, outputs, drawn, table, training):
        """Equation 6 with the rewards of the places drawn."""
        rewards = ops.einsum("btsp,btp->bts", drawn, table)
        if self.baseline is not None:
            rewards = rewards - self.baseline(rewards, training=training)
        return tasks.policy_loss(rewards, outputs)


def expected_rewards(losses_of, correct, choice, greedy):
    """The reward of each place if the step before follows its policy.

    Equation 4 in expectation over the step before; of the final reward, every
    step expects what the last one earns.

    Args:
        losses_of, correct: Of each place, `(b, parts, places)`.
        choice: Probability of each place, of the same shape or with a batch
            of 1. No gradient reaches it.
        greedy: Whether the reward is the greedy one.

    Returns:
        `(b, parts, places)`, without gradient.
    """
    choice = ops.stop_gradient(choice)
    if not greedy:
        last = ops.sum(choice[:, -1:] * correct[:, -1:], axis=-1, keepdims=True)
        before = ops.ones_like(correct[:, 1:]) * last
        return ops.stop_gradient(
            ops.concatenate([before, correct[:, -1:]], axis=1)
        )
    fell = ops.expand_dims(losses_of[:, 1:], 3) < ops.expand_dims(
        losses_of[:, :-1], 2
    )  # (b, t - 1, places, places before)
    share = ops.sum(
        ops.cast(fell, "float32") * ops.expand_dims(choice[:, :-1], 2), axis=-1
    )
    rewards = [correct[:, :1], correct[:, 1:] * share]
    return ops.stop_gradient(ops.concatenate(rewards, axis=1))


def _at(locations, places):
    """Finds the place of each location, `(b, s, p)`, 0 or 1."""
    same = ops.equal(ops.expand_dims(locations, 2), places)
    return ops.cast(ops.all(same, axis=-1), "float32")


def _each(function, values, places):
    """Applies a function to each part's values `(b, ...)` and places."""
    parts = [function(values[:, t], places[t]) for t in range(len(places))]
    return ops.stack(parts, axis=1)


def _repeat(places, scores):
    """`(p, 2)` once for each image of a batch of scores `(b, h, w)`."""
    zeros = ops.zeros_like(scores[:, :1, :1], dtype="int32")
    return zeros + ops.expand_dims(places, 0)


def _middle(boxes):
    """The place nearest to the middle of the image, one-hot `(1, t, p)`."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    distances = ((centres - 0.5) ** 2).sum(axis=-1)
    nearest = distances.round(6).argmin(axis=-1)  # the first of equals
    return np.eye(boxes.shape[1], dtype="float32")[nearest][None]


def _learns(own):
    """Marks all judges but the image's own; an only one learns as well."""
    if own.shape[-1] == 1:
        return ops.ones_like(own)
    return ops.cast(ops.equal(own, 0.0), "float32")


def _losses_of_learners(labels, outputs):
    """Mean loss of the judges that learn, `(b, t, p)`."""
    truth = ops.one_hot(labels, outputs["lessons"].shape[-1])
    logs = ops.log_softmax(outputs["lessons"], axis=-1)
    learns = outputs["learns"]
    learns = learns / ops.maximum(ops.sum(learns, axis=1, keepdims=True), 1.0)
    return -ops.einsum("btpfc,bc,bf->btp", logs, truth, learns)
