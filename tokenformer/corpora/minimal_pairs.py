"""Minimal pairs by the name of their language."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tokenformer.config.registry import Registry
from tokenformer.corpora.formal import LANGUAGES, formal_language
from tokenformer.corpora.pair import MinimalPair
from tokenformer.errors import UserError


def pairs_of(name: str, n: int, seed: int = 0, **parameters: Any) -> list[MinimalPair]:
    """`n` minimal pairs of the formal language `name`, or of "code"; the same for the same arguments.

    Parameters are the fields of the language's class (`tokenformer.corpora.formal.LANGUAGES`), and for code `source`,
    the root of a source tree. Raises UserError for another name or parameter, and where there are fewer pairs.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise UserError(f"the number of pairs is {n!r}; set it to a whole number of 0 or more")
    return PAIRS.find(name)(n, seed, **parameters)


def _formal(name: str, n: int, seed: int, **parameters: Any) -> list[MinimalPair]:
    from tokenformer.corpora.formal.pairs import drawn_pairs

    return drawn_pairs(formal_language(name, parameters), n, seed)


def _code(n: int, seed: int, **parameters: Any) -> list[MinimalPair]:
    from tokenformer.corpora.code.pairs import code_pairs

    unknown = [key for key in parameters if key != "source"]
    if unknown:
        raise UserError(f"minimal pairs of code have no parameter '{unknown[0]}'; they take: source")
    return code_pairs(n, seed, **parameters)


PAIRS: Registry[Callable[..., list[MinimalPair]]] = Registry(
    "language with minimal pairs", {name: partial(_formal, name) for name in LANGUAGES} | {"code": _code}
)
"""Name -> function (n, seed, **parameters) that makes pairs."""
