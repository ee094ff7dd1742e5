"""How many parameter tokens a growth event gives a projection."""

import math
from dataclasses import dataclass
from typing import Any

from tokenformer.errors import UserError

KINDS = ("factor", "count", "to")


@dataclass(frozen=True)
class TokenAmount:
    """An amount by factor, by count, or to a size.

    Args:
        kind: "factor" (tokens after the event in multiples of those before), "count" (new tokens) or "to" (tokens
            after the event).
        value: a finite number; a whole one for "count" and "to".
    """

    kind: str
    value: float

    @classmethod
    def parse(cls, value: Any, where: str) -> "TokenAmount":
        """A plain number is a factor; otherwise a mapping of one kind to its value.

        Raises:
            UserError: neither, or a value that would shrink.
        """
        content = {"factor": value} if isinstance(value, int | float | str) and not isinstance(value, bool) else value
        if not isinstance(content, dict) or len(content) != 1 or next(iter(content)) not in KINDS:
            raise UserError(f"append_tokens: {where} is {value!r}; give a factor, or one of {', '.join(KINDS)}: number")
        ((kind, number),) = content.items()
        try:
            number = float(number)
        except (TypeError, ValueError):
            raise UserError(f"append_tokens: {where} is {value!r}; {kind} must be a number") from None
        if not math.isfinite(number) or number < (1 if kind == "factor" else 0):
            raise UserError(
                f"append_tokens: {kind} of {where} is {number:g}; growth needs a finite number and cannot shrink"
            )
        if kind != "factor" and number != int(number):
            raise UserError(f"append_tokens: {kind} of {where} is {number:g}; tokens are whole")
        return cls(kind, number)

    def new_tokens(self, present: int, where: str) -> int:
        """New tokens for a projection that has `present`.

        Raises:
            UserError: the size to grow to is smaller than the present one.
        """
        if self.kind == "count":
            return int(self.value)
        if self.kind == "factor":
            return round(present * self.value) - present
        if self.value < present:
            raise UserError(f"append_tokens: {where} has {present} tokens already and cannot shrink to {self.value:g}")
        return int(self.value) - present
