"""Growth: triggers say when, operators say how. Both are pure; the trainer applies them."""

from tokenformer.config.registry import Registry
from tokenformer.growth.operator import GrowthOperator
from tokenformer.growth.triggers import TRIGGERS

OPERATORS: Registry[type[GrowthOperator]] = Registry(
    "growth operator",
    {
        "append_tokens": "tokenformer.growth.append_tokens:AppendTokens",
        "hypercloning": "tokenformer.growth.hypercloning:HyperCloning",
        "stack_layers": "tokenformer.growth.stack_layers:StackLayers",
    },
)
"""Name -> class, whose module is imported when it is asked for, since operators need torch and names do not."""

__all__ = ["OPERATORS", "TRIGGERS"]
