"""What a data set's records hold, read by TensorFlow itself."""


def contents_of(data, split) -> list[bytes]:
    """The encoded images of a split, by TensorFlow's own reader."""
    import tensorflow as tf

    records = data.subset(split).records
    wanted = {"image": tf.io.FixedLenFeature([], tf.string)}
    found = []
    for number, offset in zip(records.file_index, records.offsets, strict=True):
        path = records.files[number]
        for content in tf.data.TFRecordDataset(path).as_numpy_iterator():
            with open(path, "rb") as file:
                file.seek(offset)
                if file.read(len(content)) == content:
                    one = tf.io.parse_single_example(content, wanted)
                    found.append(one["image"].numpy())
    assert len(found) == len(records)
    return found


def by_content(data, split) -> dict:
    """Encoded image -> (name of its class, box)."""
    examples = data.subset(split)
    boxes = [None] * len(examples)
    if examples.boxes is not None:
        boxes = examples.boxes
    names = [data.class_names[label] for label in examples.labels]
    rows = zip(names, boxes, strict=True)
    return dict(zip(contents_of(data, split), rows, strict=True))
