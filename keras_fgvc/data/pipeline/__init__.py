"""From examples to batches: read, augmented, shared out."""
