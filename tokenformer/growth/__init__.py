"""Growth: triggers say when, operators say how. Both are pure; the trainer applies them."""

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.triggers import TRIGGERS

OPERATORS = {"append_tokens": AppendTokens}

__all__ = ["OPERATORS", "TRIGGERS"]
