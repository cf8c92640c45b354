"""What half precision changes after an epoch on cluttered digits.

    python benchmarks/precision.py
    python benchmarks/precision.py --methods=ELoPE,DAF --num_train=1000

Each method starts from the same weights and sees the same images in the same
order in float32, mixed_float16 and mixed_bfloat16; and in float32 from weights
rounded to bfloat16 once, before the first step: what rounding does to a
training without half precision. The table has the epoch's loss and validation
accuracy, the loss over float32's, and the mean distance of the validation
images' probabilities from float32's (0 to 2: the sum over classes). On a
processor half precision is slow; only the figures matter.
"""

import keras
import numpy as np
import results
from absl import app, flags
from small_backbone import small_backbone

from keras_fgvc import data, models

FLAGS = flags.FLAGS
flags.DEFINE_list("methods", None, "Default all.")
flags.DEFINE_integer("num_train", 256, "Training images.")
flags.DEFINE_integer("num_validation", 128, "Validation images.")
flags.DEFINE_integer("batch_size", 16, "Images a step.")
flags.DEFINE_float("learning_rate", 1e-3, "Of Adam.")
flags.DEFINE_integer("seed", 0, "Of weights, images and their order.")

ROUNDED = "float32, rounded once"
PRECISIONS = ("float32", ROUNDED, "mixed_float16", "mixed_bfloat16")
SIZE, CLASSES = 40, 10
LAYERS = ((16, 2), (32, 2), (64, 2))  # of the backbone
SHARED = {"tap": 8, "batch_norm": "train"}
METHODS = {
    "Baseline": ("Baseline", SHARED),
    "ELoPE": (
        "ELoPE",
        {**SHARED, "image_size": SIZE, "embedding_dim": 32},
    ),
    "PainlessAttention": (
        "PainlessAttention",
        {**SHARED, "taps": (4, 8)},
    ),
    "Coarse2Fine": ("Coarse2Fine", {**SHARED, "image_size": SIZE}),
    "WS-DAN": (
        "Coarse2Fine",
        {**SHARED, "image_size": SIZE, "augment": "crop_drop"},
    ),
    "FCAN": (
        "FCAN",
        {
            "batch_norm": "train",
            "image_size": SIZE,
            "crop_size": SIZE,
            "part_sizes": (2,),
            "taps": (8, 8),
        },
    ),
    "DAF": (
        "DAF",
        {"batch_norm": "train", "image_size": SIZE, "taps": (4, 8)},
    ),
}


def train(name, precision, digits):
    """Loss and accuracy of one epoch, and the validation probabilities."""
    method, arguments = METHODS[name]
    keras.config.set_dtype_policy(precision.partition(",")[0])
    keras.utils.set_random_seed(FLAGS.seed)
    backbone = small_backbone(LAYERS)
    model = getattr(models, method)(backbone, CLASSES, **arguments)
    if precision == ROUNDED:
        for weight in model.trainable_variables:
            rounded = keras.ops.cast(weight.value, "bfloat16")
            weight.assign(keras.ops.cast(rounded, "float32"))
    model.begin_stage("classifier" if method != "FCAN" else "parts")
    model.compile(
        keras.optimizers.Adam(FLAGS.learning_rate), metrics=["accuracy"]
    )
    options = {"load_size": SIZE, "batch_size": FLAGS.batch_size}
    batches = digits.batches(
        "train", training=True, seed=FLAGS.seed, epochs=range(1), **options
    )
    validation = digits.batches("validation", **options)
    history = model.fit(
        batches, validation_data=validation, shuffle=False, verbose=0
    ).history
    images = validation.map(lambda image, label: image)
    outputs = model.predict(images, verbose=0)
    keras.config.set_dtype_policy("float32")
    return (
        history["loss"][0],
        history["val_accuracy"][0],
        np.asarray(outputs["probabilities"], "float64"),
    )


def main(_):
    digits = data.cluttered_digits(
        FLAGS.num_train, FLAGS.num_validation, 10, canvas=SIZE, seed=FLAGS.seed
    )
    print("| method | precision | loss | / float32 | accuracy | distance |")
    print("|---|---|---|---|---|---|")
    for name in FLAGS.methods or METHODS:
        for precision in PRECISIONS:
            loss, accuracy, found = train(name, precision, digits)
            if precision == "float32":
                first_loss, first = loss, found
            assert np.all(np.isfinite(found)), (name, precision)
            distance = np.abs(found - first).sum(axis=1).mean()
            print(
                f"| {name} | {precision} | {loss:.4f} | "
                f"{loss / first_loss:.3f} | {100 * accuracy:.1f} | "
                f"{distance:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(results.kept(main))
