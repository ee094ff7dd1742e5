"""Evaluating a stored model: any checkpoint or Hugging Face model, by our tasks, and by lm-eval with its own."""
