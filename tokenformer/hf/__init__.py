"""The Tokenformer for transformers. These modules are copied into every export; `conversion` writes the rest of it.

They need transformers, and nothing of this package: an export works where it is not installed.
"""
