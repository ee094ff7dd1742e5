"""Growth: triggers say when, operators say how. Both are pure; the trainer applies them."""

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.triggers import ComplexityTrigger, ScheduleTrigger

OPERATORS = {"append_tokens": AppendTokens}
TRIGGERS = {"complexity": ComplexityTrigger, "schedule": ScheduleTrigger}

__all__ = ["OPERATORS", "TRIGGERS"]
