"""Pattention, the hot path: one plain-torch reference, which is the specification, and faster backends held to it.

This package imports torch only. It is installed as `tokenformer.kernels`.
"""

from tokenformer.kernels.dispatch import BACKENDS, choose_backend, grouped_pattention, pattention

__all__ = ["BACKENDS", "choose_backend", "grouped_pattention", "pattention"]
