"""Images kept in files, in memory or in TFRecord files."""
