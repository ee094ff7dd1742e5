"""Formal languages: generators with a difficulty knob, and recognisers that know the truth about any string."""

from collections.abc import Mapping

from tokenformer.config.building import build_named
from tokenformer.config.registry import Registry
from tokenformer.corpora.formal.arithmetic import Arithmetic
from tokenformer.corpora.formal.brackets import Dyck, ShuffleDyck
from tokenformer.corpora.formal.context_free import ContextFree
from tokenformer.corpora.formal.equal_counts import EqualCounts
from tokenformer.corpora.formal.language import FormalLanguage
from tokenformer.corpora.formal.regular import Regular

LANGUAGES: Registry[type[FormalLanguage]] = Registry("formal language")
LANGUAGES.enter(Dyck, ShuffleDyck, EqualCounts, Arithmetic, Regular, ContextFree)
"""Name -> class, whose fields are the language's parameters."""


def formal_language(name: str, parameters: Mapping[str, int] | None = None) -> FormalLanguage:
    """The language `name`, a key of LANGUAGES; parameters that are not given keep their defaults.

    Raises UserError for another name, an unknown parameter, and parameters that leave no string.
    """
    return build_named({"name": name, **(parameters or {})}, LANGUAGES)


__all__ = ["LANGUAGES", "FormalLanguage", "formal_language"]
