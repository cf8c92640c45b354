"""From a name, a folder or a CSV to a data set."""
