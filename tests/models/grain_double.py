"""Stands for the package Grain where it is not installed.

Has of Grain what Keras's adapter uses: data sets with `map`, and a loader whose
operations Keras reads and adds to.
"""

import sys
import types


class Map:
    def map(self, element):
        raise NotImplementedError


class MapDataset:
    def __init__(self, elements, transforms=()):
        self.elements = elements
        self.transforms = list(transforms)

    def map(self, transform):
        return type(self)(self.elements, [*self.transforms, transform])

    def __iter__(self):
        for element in self.elements:
            for transform in self.transforms:
                element = transform.map(element)
            yield element


class IterDataset(MapDataset):
    pass


class DataLoader:
    def __init__(self, data_source, sampler=None, operations=(), **options):
        self._data_source = data_source
        self._sampler = sampler
        self._operations = operations
        self._shard_options = self._read_options = None
        self._multiprocessing_options = types.SimpleNamespace(
            num_workers=0, per_worker_buffer_size=1, enable_profiling=False
        )

    def __iter__(self):
        return iter(MapDataset(self._data_source, self._operations))


def install(patch):
    """Makes this the module `grain`, for the time of a test."""
    grain = types.ModuleType("grain")
    for each in (MapDataset, IterDataset, DataLoader):
        setattr(grain, each.__name__, each)
    grain.transforms = types.SimpleNamespace(Map=Map)
    memory = types.ModuleType("grain._src.python.shared_memory_array")
    memory.SharedMemoryArrayMetadata = type("SharedMemoryArrayMetadata", (), {})
    patch.setitem(sys.modules, "grain", grain)
    patch.setitem(sys.modules, memory.__name__, memory)
