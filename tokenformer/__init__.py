"""Grow a language model while it trains."""

__version__ = "0.1.0"
