"""Grow a language model while it trains."""

__version__ = "0.1.0"
__all__ = ["Pattention"]


def __getattr__(name: str):
    """`Pattention` is imported when it is asked for, so that `import tokenformer` does not wait for torch."""
    if name == "Pattention":
        from tokenformer.model.layer import Pattention

        return Pattention
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
