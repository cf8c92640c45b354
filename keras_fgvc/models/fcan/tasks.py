"""Models that FCAN's stages train, which share layers with the whole.

`WholeTask` is the plain fine-tune, `GlimpseTask` the policy on feature maps,
`PartsTask` all classification networks on regions that were found before.
"""

import zlib

import keras
import numpy as np
from keras import ops

from keras_fgvc import losses
from keras_fgvc._replicas import join_batch
from keras_fgvc.models._classification import cross_entropy
from keras_fgvc.models._replicated import ReplicatedModel
from keras_fgvc.models.base import FineGrainedModel
from keras_fgvc.models.fcan import graph
from keras_fgvc.ops import (
    final_reward,
    greedy_reward,
    log_probability,
    spatial_softmax,
)

REWARDS = ("greedy", "final")
JUDGES = ("part", "all", "crops")
# Of the moving mean of the rewards; a hundred steps to forget.
BASELINE_RATE = 0.01


class WholeTask(FineGrainedModel, keep_arguments=False):
    """The whole image's network alone."""

    def __init__(self, model):
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        size = model.crop_size
        square = keras.layers.Resizing(size, size, dtype="float32")(image)
        logits = ops.expand_dims(model.classifiers[0](square), 1)
        super().__init__(
            image,
            graph.prediction(logits),
            num_classes=model.num_classes,
            name="whole_task",
        )

    def loss_terms(self, labels, outputs, training):
        return {"cross_entropy": sum_over_views(labels, outputs["view_logits"])}


class PartsTask(FineGrainedModel, keep_arguments=False):
    """Each network on its view, the regions given; the losses are summed."""

    def __init__(self, model):
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        parts = len(model.part_sizes)
        boxes = keras.Input((parts, 4), name="boxes", dtype="float32")
        logits = graph.classify(
            image, boxes, model.classifiers, model.crop_size
        )
        super().__init__(
            {"image": image, "boxes": boxes},
            graph.prediction(logits),
            num_classes=model.num_classes,
            name="parts_task",
        )

    def loss_terms(self, labels, outputs, training):
        return {"cross_entropy": sum_over_views(labels, outputs["view_logits"])}


class GlimpseTask(FineGrainedModel, keep_arguments=False):
    """The policy and what judges its choices, on maps `(b, h, w, c)`.

    Equation 1: the expected reward is maximised over the glimpses, the
    judges' cross-entropy minimised over the judges. Sample k of a step is
    judged together with sample k of the steps before it.

    Outputs:
        `"scores"` `(b, h, w, parts)`; `"locations"` `(b, parts, samples, 2)`;
        `"judgements"` `(b, parts, samples, classes)`, logits; `"of_middle"`
        `(b, parts, 1, classes)`, of the region in the middle of the map;
        `"probabilities"` `(b, classes)` of the last part, averaged over
        samples. One sample, the best, outside training.
    """

    def __init__(self, model):
        maps = maps_input(model)
        scores, locations = graph.glimpse_at(
            model.glimpses, maps, model.condition
        )
        # The middle is judged like one more sample, which no policy drew.
        seen = [
            _with_middle(x, g, model)
            for x, g in zip(locations, model.glimpses, strict=True)
        ]
        judgements = ops.stack(_judge(maps, seen, model), axis=1)
        last = ops.softmax(judgements[:, -1, :-1], axis=-1)
        outputs = {
            "scores": ops.stack(scores, axis=-1),
            "locations": ops.stack(locations, axis=1),
            "judgements": judgements[:, :, :-1],
            "of_middle": judgements[:, :, -1:],
            "probabilities": ops.mean(last, axis=1),
        }
        super().__init__(
            maps, outputs, num_classes=model.num_classes, name="glimpse_task"
        )
        self.greedy = model.reward == "greedy"
        self.baseline = make_baseline(model)
        self.loss_weights = policy_weights(model)

    def loss_terms(self, labels, outputs, training):
        losses_of, rewards = self._rewards(labels, outputs["judgements"])
        _, of_middle = self._rewards(labels, outputs["of_middle"])
        advantages = rewards
        if self.baseline is not None:
            advantages = rewards - self.baseline(rewards, training=training)
        reward = ops.mean(rewards, axis=(1, 2))
        return {
            "policy": policy_loss(advantages, outputs),
            "cross_entropy": ops.mean(losses_of, axis=(1, 2)),
            "reward": reward,
            "reward_lead": reward - ops.mean(of_middle, axis=(1, 2)),
            "entropy": mean_entropy(outputs["scores"]),
        }

    def _rewards(self, labels, judgements):
        """Losses and rewards, both `(b, t, s)`."""
        losses_of, correct = verdicts(labels, judgements)
        if self.greedy:
            return losses_of, greedy_reward(losses_of, correct)
        return losses_of, final_reward(correct)


def policy_loss(rewards, outputs):
    """Equation 6 of rewards `(b, t, s)`, averaged over the steps, `(b,)`."""
    steps = range(rewards.shape[1])
    terms = [
        losses.reinforce(
            rewards[:, t],
            log_probability(
                outputs["scores"][..., t], outputs["locations"][:, t]
            ),
        )
        for t in steps
    ]
    return sum(terms) / len(steps)


def policy_weights(model):
    """Returns the weights of the localiser's loss terms (eq. 1)."""
    return {
        "policy": 1.0,
        "cross_entropy": model.classification_weight,
        "reward": 0.0,  # shown, not trained
        "reward_lead": 0.0,
        "entropy": 0.0 - model.entropy_weight,
    }


def make_baseline(model):
    """Returns the moving mean of the rewards, None where none is taken off."""
    if not model.moving_baseline:
        return None
    return MovingMean(len(model.glimpses), dtype="float32", name="baseline")


class MovingMean(keras.layers.Layer):
    """Mean reward of each step in the past, what a reward is measured by."""

    def __init__(self, steps, **kwargs):
        super().__init__(**kwargs)
        self.mean = self.add_weight(
            shape=(steps,),
            initializer="zeros",
            trainable=False,
            aggregation="mean",
            name="mean",
        )

    def call(self, rewards, training=False):
        # A copy: `assign` would change what is only another shape of it.
        before = ops.reshape(ops.copy(self.mean), (1, -1, 1))
        if training:
            now = ops.mean(join_batch(rewards), axis=(0, 2))
            past = before[0, :, 0]
            self.mean.assign(past + BASELINE_RATE * (now - past))
        return before


def maps_input(model):
    """Returns the symbolic feature maps that the glimpses see."""
    channels = model.features.output.shape[-1]
    return keras.Input((*model.map_size, channels), name="maps")


def map_extractor(model):
    """Images of any size to what `GlimpseTask` sees."""
    image = keras.Input((None, None, 3), dtype="float32")
    size = model.image_size
    square = keras.layers.Resizing(size, size, dtype="float32")(image)
    return ReplicatedModel(image, model.features(square))


def region_finder(model):
    """Feature maps to the best region of each part, `(b, parts, 4)`."""
    maps = maps_input(model)
    boxes, _ = graph.find_regions(maps, model.glimpses, model.condition)
    return ReplicatedModel(maps, boxes)


def sum_over_views(labels, view_logits):
    """Cross-entropy of each image, summed over its views, `(b,)`."""
    views = range(view_logits.shape[1])
    return sum(cross_entropy(labels, view_logits[:, view]) for view in views)


def _judge(maps, locations, model):
    """Logits of each part's samples, `(b, s, classes)` each.

    One fully connected layer over a region, as the paper's fully
    convolutional layer whose kernel is as large as the region. With
    `judge="all"` its input is longer: the regions before and the whole map.
    """
    windows, judgements = [], []
    for t, size in enumerate(model.part_sizes):
        cut = graph.Windows(size, name=f"windows_{t}")
        windows.append(cut(maps, locations[t]))
        seen = windows if model.judge == "all" else windows[-1:]
        logits = 0.0
        for number, window in enumerate(seen):
            logits = logits + judge_layer(model, t, number)(window)
        if model.judge == "all":
            pooled = ops.mean(maps, axis=(1, 2))
            whole = judge_layer(model, t, "whole")(pooled)
            logits = logits + ops.expand_dims(whole, 1)
        judgements.append(logits)
    return judgements


def _with_middle(locations, glimpse, model):
    """Locations `(b, s, 2)` and, behind them, the middle of the map."""
    size = glimpse.region_size
    middle = [(n - size) // 2 + size // 2 for n in model.map_size]
    middle = ops.zeros_like(locations[:, :1]) + np.array(middle, "int32")
    return ops.concatenate([locations, middle], axis=1)


def judge_layer(model, part, seen, folds=1):
    """Returns a judge of a part, or several side by side, one per fold."""
    name = f"judge_{part}_{seen}"
    # By its name, not by what was drawn before: a resumed run begins alike.
    seed = zlib.crc32(f"{name} {model.seed}".encode())
    return keras.layers.Dense(
        folds * model.num_classes,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name=name,
    )


def verdicts(labels, judgements):
    """Loss and correctness of each judgement, both `(b, t, s)`."""
    truth = ops.one_hot(labels, judgements.shape[-1])
    truth = ops.reshape(truth, (-1, 1, 1, judgements.shape[-1]))
    log_probabilities = ops.log_softmax(judgements, axis=-1)
    of_truth = ops.sum(truth * log_probabilities, axis=-1)
    highest = ops.max(log_probabilities, axis=-1)
    return -of_truth, of_truth >= highest


def mean_entropy(scores):
    """Entropy of each image's policies, `(b,)`, in nats, their mean."""
    policy = spatial_softmax(scores)
    surprise = -ops.log(ops.maximum(policy, 1e-30))
    return ops.mean(ops.sum(policy * surprise, axis=(1, 2)), axis=-1)
