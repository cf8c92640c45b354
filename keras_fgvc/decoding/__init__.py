"""Reads image files: what they declare, and their pixels, inside a graph.

Training, evaluation, the command line and the served model all decode here,
so that one file gives the same pixels everywhere; `images` has the rules.

There is one module per format: it reads the declared size from the bytes, and
decodes what TensorFlow's decoders get wrong or know nothing of (alpha,
orientation, palettes). Headers are written by strangers: each walk over a
file's parts is bounded, missing bytes raise `tf.errors.InvalidArgumentError`,
and broken EXIF is ignored.
"""
