"""The version, alone in a file so that setup.py can read it by regex."""

__version__ = "0.8.0"
