"""Tiny archives in the layout of the real ones, and what becomes of them."""

import io
import tarfile
import zipfile

import numpy as np

from keras_fgvc.data import builders
from tests.data.image_files import encode, write


def photograph(height, width, seed=0) -> bytes:
    """A smooth JPEG of the given size."""
    rows = np.linspace(20, 230, height)[:, None, None]
    columns = np.linspace(-20, 20, width)[None, :, None]
    channels = np.array([0.0, 7.0, -7.0]) + seed % 11
    pixels = np.clip(rows + columns + channels, 0, 255).astype(np.uint8)
    return encode(pixels, "JPEG", quality=95)


def lines(*rows) -> bytes:
    return ("\n".join(rows) + "\n").encode()


class Downloads:
    """The folder of manual downloads, and the folder of what is prepared."""

    def __init__(self, root):
        self.manual = root / "manual"
        self.data_dir = root / "data"
        self.manual.mkdir()

    def put(self, files: dict) -> None:
        for name, content in files.items():
            write(self.manual / name, content)

    def tar(self, archive: str, files: dict) -> None:
        with tarfile.open(self.manual / archive, "w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    def zip(self, archive: str, files: dict) -> None:
        with zipfile.ZipFile(self.manual / archive, "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)

    def prepare(self, name, config=None):
        """Prepares it, and returns it as read back without its class."""
        import tensorflow_datasets as tfds

        builder = builders.make(name, data_dir=self.data_dir, config=config)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=self.manual)
        )
        return tfds.builder_from_directory(builder.data_dir)


def examples(builder, split) -> dict:
    """Filename -> example, its image as encoded, its class as a name."""
    import tensorflow_datasets as tfds

    dataset = builder.as_dataset(
        split=split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    names = builder.info.features["label"].names
    found = {}
    for example in tfds.as_numpy(dataset):
        example["name"] = names[example["label"]]
        found[example["image/filename"].decode()] = example
    assert len(found) == builder.info.splits[split].num_examples
    return found


def names_by_file(builder, split) -> dict:
    return {file: e["name"] for file, e in examples(builder, split).items()}


def assert_box(example, expected) -> None:
    assert example["bbox"].dtype == np.float32
    np.testing.assert_allclose(example["bbox"], expected, rtol=1e-6)
