"""Everything that touches Nanotron. `bootstrap()` comes first: after it, `import nanotron` works on this machine."""


def __getattr__(name: str):
    """`bootstrap` is imported when it is asked for, so that the options of this folder's jobs do not wait for torch."""
    if name == "bootstrap":
        from tokenformer.trainer.bridge.bootstrap import bootstrap

        return bootstrap
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
