"""Layers and losses of keras_fgvc in a Keras model of your own.

    python examples/layer_in_your_model.py

A plain functional model, `compile` and `fit`; the library gives the pooling
and, by `with_losses`, two losses that keep means of the classes. Prints the
test accuracy with average pooling, with the mean of the 4 largest values and
with both losses beside it: 85.4 %, 90.3 % and 92.4 % on 1,000 images (seed 0),
in two minutes on two CPU cores.
"""

from keras_fgvc.data import cluttered_digits
from keras_fgvc.layers import (
    AttentionCenterLoss,
    BilinearAttentionPooling,
    ClassMeanEmbeddingLoss,
    GlobalKMaxPooling,
)
from keras_fgvc.models import with_losses
from keras_fgvc.training import make_strategy

import keras
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("num_train", 4000, "Training images.")
flags.DEFINE_integer("epochs", 8, "Passes over them.")
flags.DEFINE_enum("strategy", "none", ("none", "mirrored"), "Of devices.")


def make_model(pooling, losses):
    image = keras.Input((40, 40, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(
            x
        )
        x = keras.layers.MaxPooling2D()(x)
    maps = keras.layers.Conv2D(4, 1, activation="relu")(x)
    parts = BilinearAttentionPooling(normalize=True)([x, maps])
    embedding = pooling(x)
    seen = keras.layers.Concatenate()([embedding, keras.ops.sum(parts, axis=1)])
    probabilities = keras.layers.Dense(10, activation="softmax")(seen)
    outputs = {"embedding": embedding, "parts": parts}
    outputs["probabilities"] = probabilities
    weights = dict.fromkeys(losses, 0.1)
    model = with_losses(
        keras.Model(image, outputs), losses, term_weights=weights
    )
    model.compile("adam", metrics=["accuracy"])
    return model


def main(_):
    strategy = make_strategy(FLAGS.strategy)
    digits = cluttered_digits(FLAGS.num_train, 500, 1000, distractors=4)
    train, test = digits.subset("train"), digits.subset("test")
    both = {"embedding": ClassMeanEmbeddingLoss, "parts": AttentionCenterLoss}
    for name, pooling, losses in (
        ("average", keras.layers.GlobalAveragePooling2D, {}),
        ("k-max", GlobalKMaxPooling, {}),
        ("k-max, both losses", GlobalKMaxPooling, both),
    ):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            losses = {key: loss(10) for key, loss in losses.items()}
            model = make_model(pooling(), losses)
        model.fit(train.images, train.labels, epochs=FLAGS.epochs, verbose=0)
        scores = model.evaluate(
            test.images, test.labels, verbose=0, return_dict=True
        )
        print(f"{name:20} {100 * scores['accuracy']:.1f} %")


if __name__ == "__main__":
    app.run(main)
