"""Photographs and files of other kinds, those of the command line's tests."""

from tests.cli.conftest import mixed, photographs

__all__ = ["mixed", "photographs"]
