"""A work directory, read back, and what can be asked of it.

A run knows its model, its data, the size at which images are loaded and
whether its training is finished: nobody passes a size for a trained model.
"""

import functools
import os
import pathlib

import numpy as np

from keras_fgvc import evaluation, export, recipes, visualization
from keras_fgvc._checks import check_choice
from keras_fgvc.training import predictors, reporting
from keras_fgvc.training.claims import FILE, read_run
from keras_fgvc.training.image_files import (
    find_images,
    read_batches,
    read_pixels,
)
from keras_fgvc.training.photographs import read_photograph
from keras_fgvc.training.saved_run import SavedRun

WRITERS = {
    "savedmodel": "export_saved_model",
    "onnx": "export_onnx",
    "litert": "export_litert",
}
MAX_EXPLAINED = 60  # in one picture, a row each; it is then 12,000 pixels high


class Run(SavedRun):
    """Trained run of a work directory: its facts and what it can do.

    `evaluate`, `predict`, `explain`, `report` and `export` use the trained
    model. Each refuses a run whose stages are not all finished, unless it
    gets `unfinished=True`.

    Args:
        workdir: The folder.
        recipe: `recipes.Recipe` it was trained by.
        seed: Of shuffling and augmentation.
        class_names: Names of the classes; label i belongs to name i.
        opened_by: Arguments of `data.open_dataset` that open its data again;
            empty for data that came from elsewhere.
        initial_weights: Where the backbone's weights came from: `"imagenet"`,
            `"random"`, a file's name and checksum, or `None` where nobody
            said.
        image_digests: From each split to a text that tells its images from
            others; empty where nobody said.
        label_digests, box_digests: From each split to a digest; empty where
            nobody said.
    """

    def evaluate(
        self,
        split: str = "test",
        *,
        name_or_path=None,
        data_dir=None,
        verify: str = "full",
        batch_size: int = 32,
        verbose=0,
        unfinished: bool = False,
    ) -> evaluation.Evaluation:
        """Computes the figures of the trained model on a split.

        Args:
            split: `"test"` (default), `"validation"` or `"train"`.
            name_or_path, data_dir, verify: See `open_data`.
            batch_size: Images per step. Defaults to 32.
            verbose: See `evaluation.evaluate`. Defaults to 0.
            unfinished: See `load_model`.
        """
        model = self.load_model(unfinished=unfinished)
        return evaluation.evaluate(
            model,
            self.open_data(name_or_path, data_dir=data_dir, verify=verify),
            split,
            load_size=self.recipe.load_size,
            batch_size=batch_size,
            verbose=verbose,
        )

    def predictor(self, *, unfinished: bool = False):
        """Returns a `predictors.Predictor`: reads files, runs the model."""
        return predictors.of_pixels(
            self.load_model(unfinished=unfinished),
            self.class_names,
            self.recipe.load_size,
            self.recipe.resize,
        )

    def predict(
        self,
        paths,
        *,
        num_top: int = 3,
        batch_size: int = 32,
        unfinished: bool = False,
    ) -> list[dict]:
        """Names what is on photographs.

        Args:
            paths: One path or several, of image files and of folders, which
                are searched to the bottom.
            num_top: Number of classes to name. Defaults to 3.
            batch_size: Images per step. Defaults to 32.
            unfinished: See `load_model`.

        Returns:
            One dict per image, in the order of `paths`, with the keys of an
            export's answers: `"path"`, `"top_classes"` and
            `"top_probabilities"`, the best first, under its name each output
            that the model declares as `ObjectBox` or `PartBoxes`, and
            `"error"`, which is empty; for a file that cannot be read
            `"path"` and `"error"`. `"top"`, a list of `{"class",
            "probability"}`, is kept until 1.0.
        """
        answers = self.predictor(unfinished=unfinished).answers(
            find_images(paths), num_top, batch_size
        )
        return list(answers)

    def explain(
        self, paths, out, *, num_top: int = 3, unfinished: bool = False
    ) -> list:
        """Draws what the model saw on photographs, one row per image.

        Photographs keep their aspect ratio and are named by their files; of
        those that are cropped or padded the part that the network sees is
        drawn.

        Args:
            paths: As for `predict`; at most 60 images.
            out: Path of the picture to write.
            num_top: Number of classes to name. Defaults to 3.
            unfinished: See `load_model`.

        Returns:
            List of `(path, error)` pairs, the files that cannot be read.

        Raises:
            ValueError: If there are more than 60 images, or none can be read.
        """
        paths = find_images(paths)
        if len(paths) > MAX_EXPLAINED:
            raise ValueError(
                f"One picture shows at most {MAX_EXPLAINED} images. "
                f"Received: {len(paths)}."
            )
        model = self.load_model(unfinished=unfinished)
        read = functools.partial(
            read_pixels,
            size=self.recipe.load_size,
            resize=self.recipe.resize,
        )
        batches = read_batches(paths, read, MAX_EXPLAINED)
        images = [image for batch in batches for image in batch]
        seen = [i for i in images if i.error is None]
        if seen:
            found = visualization.explain(
                model,
                np.stack([i.content for i in seen]),
                class_names=self.class_names,
                num_top=num_top,
            )
            visualization.save_explanations(
                out,
                [read_photograph(i.path, self.recipe.resize) for i in seen],
                found,
                names=[os.path.basename(i.path) for i in seen],
            )
        failed = [(i.path, i.error) for i in images if i.error is not None]
        if not seen:
            reasons = "; ".join(f"{path} {error}" for path, error in failed)
            raise ValueError(f"There is no image to explain: {reasons}.")
        return failed

    def report(
        self,
        split: str = "test",
        *,
        name_or_path=None,
        data_dir=None,
        verify: str = "full",
        batch_size: int = 32,
        unfinished: bool = False,
        **shown,
    ) -> pathlib.Path:
        """Writes a page about the training: curves, figures, mistakes.

        Args:
            split: `"test"` (default), `"validation"` or `"train"`.
            name_or_path, data_dir, verify: See `open_data`.
            batch_size: Images per step. Defaults to 32.
            unfinished: See `load_model`.
            **shown: `num_images` to explain (8), `num_mistakes` to explain
                (4), `num_pairs` of confused classes (8), `command`, the text
                that the page names as the command to write it again.

        Returns:
            Path of the page, `report.html` in the work directory. Its
            pictures are in the folder `report` beside it.
        """
        return reporting.write_report(
            self,
            self.load_model(unfinished=unfinished),
            self.open_data(name_or_path, data_dir=data_dir, verify=verify),
            split,
            batch_size=batch_size,
            **shown,
        )

    def export(
        self,
        path,
        format: str = "savedmodel",
        *,
        unfinished: bool = False,
        **settings,
    ):
        """Writes the trained model for serving.

        Args:
            path: Folder or file to write; it must not exist.
            format: `"savedmodel"` (default), `"onnx"` or `"litert"`. The
                last two take pixels that were resized as in training, see
                `recipe.resize` and `data.decode_and_resize`.
            unfinished: See `load_model`.
            **settings: Further arguments of `export.export_saved_model` and
                the like, such as `num_top`.

        Returns:
            The path.
        """
        check_choice("format", format, WRITERS)
        return getattr(export, WRITERS[format])(
            self.load_model(unfinished=unfinished),
            path,
            class_names=self.class_names,
            load_size=self.recipe.load_size,
            resize=self.recipe.resize,
            **settings,
        )


def open_run(workdir) -> Run:
    """Reads what `training.fit` wrote into a folder.

    Args:
        workdir: The folder.

    Returns:
        `Run`.

    Raises:
        ValueError: If the folder holds no run, or its run.json is damaged.

    Example: `examples/report.py`.
    """
    workdir = pathlib.Path(workdir)
    path = workdir / FILE
    if not path.exists():
        raise ValueError(
            f"{workdir} holds no run: it has no run.json. Give the `workdir` "
            "of a training."
        )
    run = read_run(path)
    return Run(
        workdir=workdir,
        recipe=recipes.from_dict(run["recipe"]),
        seed=run["seed"],
        class_names=tuple(run["classes"]),
        opened_by=run.get("opened_by") or {},
        initial_weights=run.get("initial_weights"),
        image_digests=run.get("image_digests") or {},
        label_digests=run.get("label_digests") or {},
        box_digests=run.get("box_digests") or {},
    )
