"""Everything that touches Nanotron. `bootstrap()` comes first: after it, `import nanotron` works on this machine."""

from tokenformer.trainer.bridge.bootstrap import BootstrapReport, bootstrap

__all__ = ["BootstrapReport", "bootstrap"]
