"""Opens a data set from a name, a folder or a CSV."""
