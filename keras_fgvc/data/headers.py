"""Reading of image headers by the name under which programs know it.

The code is in `keras_fgvc.decoding`, on which data and export stand.
"""

from keras_fgvc.decoding.headers import orientation, read_size

__all__ = ["orientation", "read_size"]
