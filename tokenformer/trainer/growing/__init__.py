"""A growth operator applied to a live trainer, or to a checkpoint on disk."""
