"""Draws docs/elope_digits.png: what the demo's ELoPE made of test images.

    make demo && .venv/bin/python docs/picture.py

Reads the model that `examples/quickstart.py` trained; scikit-learn's digits,
nothing is downloaded.
"""

import pathlib

from absl import app, flags

from keras_fgvc import data, training, visualization

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "runs/quickstart/elope", "Of the demo's ELoPE.")
flags.DEFINE_integer("num_images", 3, "Images to draw, of the first ones.")
PICTURE = pathlib.Path(__file__).with_name("elope_digits.png")
CANVAS = 64


def main(_):
    model = training.open_run(FLAGS.workdir).load_model(unfinished=True)
    # The demo's test images; how many others there are does not matter.
    digits = data.cluttered_digits(4000, 500, 1000, canvas=CANVAS, seed=0)
    test = digits.subset("test")
    images = test.images[: FLAGS.num_images]
    visualization.save_explanations(
        PICTURE,
        images,
        visualization.explain(model, images, class_names=digits.class_names),
        labels=test.labels[: FLAGS.num_images],
        true_boxes=test.boxes[: FLAGS.num_images],
        class_names=digits.class_names,
    )
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    app.run(main)
