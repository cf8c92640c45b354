"""Image formats as a graph reads them: one module per format.

Each module reads the declared size from the bytes, and decodes what
TensorFlow's decoders get wrong or know nothing of: alpha, orientation,
palettes. `keras_fgvc.decoding.images` chooses the module by the first bytes.

Headers are written by strangers: each walk over a file's parts is bounded,
missing bytes raise `tf.errors.InvalidArgumentError`, and broken EXIF is
ignored.
"""
