"""Formal languages: generators with a difficulty knob, and recognisers that know the truth about any string."""

from collections.abc import Mapping

from tokenformer.config.parameters import filled_parameters
from tokenformer.corpora.formal.arithmetic import Arithmetic
from tokenformer.corpora.formal.context_free import ContextFree
from tokenformer.corpora.formal.dyck import Dyck
from tokenformer.corpora.formal.equal_counts import EqualCounts
from tokenformer.corpora.formal.language import FormalLanguage
from tokenformer.corpora.formal.regular import Regular
from tokenformer.corpora.formal.shuffle_dyck import ShuffleDyck
from tokenformer.errors import UserError

LANGUAGES: dict[str, type[FormalLanguage]] = {
    language.name: language for language in (Dyck, ShuffleDyck, EqualCounts, Arithmetic, Regular, ContextFree)
}
"""Name -> class, whose fields are the language's parameters."""


def formal_language(name: str, parameters: Mapping[str, int] | None = None) -> FormalLanguage:
    """The language `name`, a key of LANGUAGES; parameters that are not given keep their defaults.

    Raises UserError for another name, an unknown parameter, and parameters that leave no string.
    """
    if name not in LANGUAGES:
        raise UserError(f"there is no formal language '{name}'; choose one of {', '.join(LANGUAGES)}")
    return filled_parameters(f"language '{name}'", LANGUAGES[name], parameters or {})


__all__ = ["LANGUAGES", "FormalLanguage", "formal_language"]
