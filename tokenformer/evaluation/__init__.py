"""Measuring a model: held-out loss, and the plain language models that it is compared with."""
