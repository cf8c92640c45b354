"""Reads examples, augments them and shares out batches."""
