"""The YAML of a run: Nanotron's own sections, plus growth, curriculum and validation."""

from tokenformer.config.loading import load_config
from tokenformer.config.sections import RunConfig

__all__ = ["RunConfig", "load_config"]
