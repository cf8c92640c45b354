"""Figures as JSON has them."""

import math


def without_nan(value):
    """A copy of nested dicts and lists with None for each `nan`.

    JSON has no `nan`: Python writes one all the same, and other readers then
    refuse the whole file.

    Args:
        value: What `json.dumps` takes.
    """
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
