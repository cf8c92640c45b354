"""Decoding by the name under which programs know it.

The code is in `keras_fgvc.decoding`, on which data and export stand.
"""

from keras_fgvc.decoding.images import decode, decode_and_resize, resize

__all__ = ["decode", "decode_and_resize", "resize"]
