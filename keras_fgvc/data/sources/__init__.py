"""Where images are kept: in files, in memory, in TFRecord files."""
