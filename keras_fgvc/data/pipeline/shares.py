"""Shares of the images: of each class for a split, of a batch for a worker.

In a training on many devices each device, called a replica, gets an equal
part of each batch. A worker is a process that feeds the replicas of its
machine: it should read and decode their images and no others.
"""

import dataclasses

import numpy as np

from keras_fgvc._checks import check_in_range, check_positive_int


@dataclasses.dataclass(frozen=True)
class Share:
    """The place of one worker among all, and how many replicas each feeds.

    A batch is cut into as many parts as there are replicas; those of a worker
    lie side by side. Where the last, smaller batch is kept, all batches are
    made almost equally large instead: their parts differ by one image at
    most, and no replica goes without.

    Args:
        worker: Number of this worker, from 0.
        num_workers: Number of workers.
        replicas: Number of replicas of each worker.

    Raises:
        ValueError: If an argument is not as described.

    Example:

    ```python
    from keras_fgvc.data import Share, cluttered_digits

    data = cluttered_digits(20, 10, 10)
    first = data.batches(
        "train", load_size=40, batch_size=8, training=True, share=Share(0, 2)
    )
    images, labels = next(iter(first))
    print(images.shape)  # (4, 40, 40, 3)
    ```
    """

    worker: int = 0
    num_workers: int = 1
    replicas: int = 1

    def __post_init__(self):
        check_positive_int("num_workers", self.num_workers)
        check_positive_int("replicas", self.replicas)
        check_in_range("worker", self.worker, 0, self.num_workers - 1)

    @property
    def num_parts(self) -> int:
        """The number of replicas of all workers."""
        return self.num_workers * self.replicas

    def num_batches(self, count: int, batch_size: int, drops: bool) -> int:
        """Counts the batches that `count` images make; as `parts`."""
        self._check(count, batch_size, drops)
        if drops:
            return count // batch_size
        return min(-(-count // batch_size), count // self.num_parts)

    def parts(self, count: int, batch_size: int, drops: bool):
        """The places of this worker's images and the sizes of its parts.

        Args:
            count: Number of images in their order.
            batch_size: Images in a batch of all workers.
            drops: Whether the last, smaller batch is left out.

        Returns:
            int64 `(n,)` with n images of this worker, from 0 to `count`; and
            int64 `(batches * replicas,)`, the sizes of the parts that they
            make one after another.

        Raises:
            ValueError: A batch or the images cannot be shared out.
        """
        batches = self.num_batches(count, batch_size, drops)
        used = batches * batch_size if drops else count
        total = batches * self.num_parts
        bounds = np.arange(total + 1, dtype=np.int64) * used // total
        starts = bounds[:-1].reshape(batches, self.num_workers, -1)
        stops = bounds[1:].reshape(batches, self.num_workers, -1)
        spans = zip(
            starts[:, self.worker, 0], stops[:, self.worker, -1], strict=True
        )
        own = np.concatenate([np.arange(*span) for span in spans])
        sizes = (stops - starts)[:, self.worker].reshape(-1)
        return own, sizes

    def _check(self, count, batch_size, drops):
        if drops and batch_size % self.num_parts:
            raise ValueError(
                "`batch_size` must be a multiple of the number of devices, "
                f"{self.num_parts}. Received: {batch_size}."
            )
        if count < self.num_parts:
            raise ValueError(
                f"{count} images cannot be shared out to {self.num_parts} "
                "devices. Use fewer devices, or more images."
            )


def batch_parts(dataset, sizes):
    """Batches of these sizes, one after another, out of single elements."""
    if (sizes == sizes[0]).all():
        return dataset.batch(int(sizes[0]), drop_remainder=True)
    return dataset.batch(1).rebatch(sizes)


def stratified_cut(labels, fraction: float, seed: int) -> np.ndarray:
    """Chooses about `fraction` of the examples of each class.

    A class of n examples gives `round(fraction * n)`, but at least one and
    at most n - 1 where n is 2 or more; a single example stays. What one
    class gives depends on the seed and that class alone.

    Args:
        labels: Integer array `(n,)`.
        fraction: Share to cut off, 0 to 1; 0 cuts nothing.
        seed: Integer from 0.

    Returns:
        Boolean array `(n,)`, True where an example was cut off.
    """
    labels = np.asarray(labels)
    is_cut = np.zeros(len(labels), bool)
    if fraction == 0:
        return is_cut
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            continue
        wanted = round(fraction * len(members))
        count = min(max(wanted, 1), len(members) - 1)
        order = np.random.default_rng((seed, int(label)))
        is_cut[order.permutation(members)[:count]] = True
    return is_cut
