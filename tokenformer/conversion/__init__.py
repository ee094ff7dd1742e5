"""Checkpoints of other makers into ours, and ours into Hugging Face folders and back."""
