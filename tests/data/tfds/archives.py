"""Tiny archives in the layout of those that TFDS downloads.

They lie in the folder of manual downloads under their real names, where TFDS
itself finds them; only their check sums are not those that it knows.
"""

import gzip
import io
import tarfile
import zipfile

import numpy as np

from keras_fgvc.data.builders.celeb_a_attributes import CELEB_A_ATTRIBUTES
from tests.data.image_files import encode, jpeg, smooth_pixels, write

HEIGHT, WIDTH = 41, 59
# Class and name -> in train, box (x, y, width, height) in pixels.
BIRDS = {
    "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18": (1, 5, 7, 31),
    "001.Black_footed_Albatross/Black_Footed_Albatross_0009_34": (1, 0, 0, 59),
    "001.Black_footed_Albatross/Black_Footed_Albatross_0002_55": (1, 2, 3, 5),
    "002.Laysan_Albatross/Laysan_Albatross_0001_545": (1, 11, 13, 17),
    "002.Laysan_Albatross/Laysan_Albatross_0002_1027": (1, 3, 2, 19),
    "002.Laysan_Albatross/Laysan_Albatross_0003_1033": (0, 1, 1, 23),
    "200.Common_Yellowthroat/Common_Yellowthroat_0003_190521": (0, 7, 5, 29),
}
BIRD_HEIGHT = 20  # of each box, in pixels


def tar(path, files) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "w" if path.suffix == ".tar" else "w:gz"
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def mat(**arrays) -> bytes:
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, arrays)
    return buffer.getvalue()


def bird_files() -> dict[str, bytes]:
    """Name -> JPEG of each bird."""
    return {name: jpeg(i, HEIGHT, WIDTH) for i, name in enumerate(BIRDS)}


def cub(folder, *, boxes=(), **files) -> None:
    """CUB-200-2011; `boxes` by number and `files` by name replace some."""
    rows = {i: BIRDS[name][1:] for i, name in enumerate(BIRDS)}
    rows = {i: (*row, BIRD_HEIGHT) for i, row in rows.items()} | dict(boxes)
    tables = {
        "images.txt": [f"{name}.jpg" for name in BIRDS],
        "train_test_split.txt": [row[0] for row in BIRDS.values()],
        "bounding_boxes.txt": [
            " ".join(f"{n}.0" for n in row) for row in rows.values()
        ],
    }
    contents = {
        f"CUB_200_2011/{table}": "".join(
            f"{number} {value}\n" for number, value in enumerate(values, 1)
        ).encode()
        for table, values in tables.items()
    }
    for name, content in (bird_files() | files).items():
        contents[f"CUB_200_2011/images/{name}.jpg"] = content
    tar(folder / "CUB_200_2011.tgz", contents)
    mask = encode(np.zeros((HEIGHT, WIDTH), np.uint8), "PNG")
    masks = {f"segmentations/{name}.png": mask for name in BIRDS}
    tar(folder / "segmentations.tgz", masks)


DOG_XML = """<annotation><size><width>{width}</width><height>{height}</height>
<depth>3</depth></size>{objects}</annotation>"""
DOG_OBJECT = """<object><name>dog</name><bndbox><xmin>{}</xmin><ymin>{}</ymin>
<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def dogs(folder, boxes_of_images) -> None:
    """Stanford Dogs; the name of an image -> its boxes, x y x y in pixels."""
    breeds = [f"n{n:08d}-Breed_{n}" for n in range(119)]
    breeds.append("n02085620-Chihuahua")
    listed = [f"{breed}/{breed[:9]}_1.jpg" for breed in breeds[:-1]]
    names = [f"n02085620-Chihuahua/n02085620_{i}" for i in boxes_of_images]
    listed += [f"{name}.jpg" for name in names[:-1]]
    lists = {
        "train_list.mat": listed,
        "test_list.mat": [f"{names[-1]}.jpg", f"{names[-1]}.png"],
    }
    tar(
        folder / "lists.tar",
        {
            name: mat(file_list=np.array(files, object).reshape(-1, 1))
            for name, files in lists.items()
        },
    )
    images, annotations = {}, {}
    for name, boxes in zip(names, boxes_of_images.values(), strict=True):
        images[f"Images/{name}.jpg"] = jpeg(1, HEIGHT, WIDTH)
        objects = "".join(DOG_OBJECT.format(*box) for box in boxes)
        xml = DOG_XML.format(width=WIDTH, height=HEIGHT, objects=objects)
        annotations[f"Annotation/{name}"] = xml.encode()
    tar(folder / "images.tar", images)
    tar(folder / "annotation.tar", annotations)


def flowers(folder) -> None:
    """102 Flowers: 3 images in train, 2 in validation, 4 in test."""
    images = {
        f"jpg/image_{n:05d}.jpg": jpeg(n, HEIGHT, WIDTH) for n in range(1, 10)
    }
    tar(folder / "102flowers.tgz", images)
    labels = np.array([[1, 102, 5, 1, 2, 3, 3, 2, 1]])
    write(folder / "imagelabels.mat", mat(labels=labels))
    parts = {"trnid": [[1, 2, 3]], "valid": [[4, 5]], "tstid": [[9, 8, 7, 6]]}
    write(folder / "setid.mat", mat(**parts))


def mnist(folder, arrays) -> None:
    """MNIST of `{"train": (images, labels), "t10k": (images, labels)}`."""
    for part, (images, labels) in arrays.items():
        for kind, header, values in (
            ("images-idx3", 16, images),
            ("labels-idx1", 8, labels),
        ):
            content = bytes(header) + values.astype(np.uint8).tobytes()
            name = f"{part}-{kind}-ubyte.gz"
            write(folder / name, gzip.compress(content))


def celeb_a(folder, smiling) -> None:
    """CelebA: an image for each of `smiling`; of each three the last is test,
    the one before validation. All other attributes are those of a face that
    does not smile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{n:06d}.jpg" for n in range(1, len(smiling) + 1)]
    content = encode(smooth_pixels(218, 178), "JPEG")
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for name in names:
            archive.writestr(f"img_align_celeba/{name}", content)
    landmarks = (
        "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x "
        "leftmouth_y rightmouth_x rightmouth_y"
    )
    signs = [
        " ".join(
            "1" if a == "Smiling" and smiles else "-1"
            for a in CELEB_A_ATTRIBUTES
        )
        for smiles in smiling
    ]
    tables = {
        "list_attr_celeba.txt": (" ".join(CELEB_A_ATTRIBUTES), signs),
        "list_landmarks_align_celeba.txt": (
            landmarks,
            ["1 " * 10] * len(names),
        ),
        "list_eval_partition.txt": (None, [n % 3 for n in range(len(names))]),
        "identity_CelebA.txt": (None, [7] * len(names)),
    }
    for table, (headings, rows) in tables.items():
        lines = [f"{len(names)}", headings] if headings else []
        lines += [f"{n} {row}" for n, row in zip(names, rows, strict=True)]
        write(folder / table, ("\n".join(lines) + "\n").encode())
