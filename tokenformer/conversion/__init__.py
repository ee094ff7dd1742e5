"""Checkpoints of other code, to and from ours."""
