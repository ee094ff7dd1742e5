"""Checkpoints: read in any layout, written whole, opened as a model."""
