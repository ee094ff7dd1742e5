"""Growth: triggers say when, operators say how. Both are pure; the trainer applies them."""

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.hypercloning import HyperCloning
from tokenformer.growth.stack_layers import StackLayers
from tokenformer.growth.triggers import TRIGGERS

OPERATORS = {"append_tokens": AppendTokens, "hypercloning": HyperCloning, "stack_layers": StackLayers}

__all__ = ["OPERATORS", "TRIGGERS"]
