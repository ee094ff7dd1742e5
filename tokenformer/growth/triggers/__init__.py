"""When to grow: pure functions of what a checkpoint records, so every rank and every resumed run decides the same."""

from tokenformer.growth.triggers.combined import AllTrigger, AnyTrigger
from tokenformer.growth.triggers.levels import ComplexityTrigger, ScheduleTrigger
from tokenformer.growth.triggers.losses import LossHistory, LossNeed, LossPoint
from tokenformer.growth.triggers.plateau import PlateauTrigger, ValidationNotRising
from tokenformer.growth.triggers.same_as import SameAsTrigger
from tokenformer.growth.triggers.trigger import TRIGGERS, Progress, Trigger

TRIGGERS.enter(ComplexityTrigger, ScheduleTrigger, PlateauTrigger, ValidationNotRising, AnyTrigger, AllTrigger)
TRIGGERS.enter(SameAsTrigger)

__all__ = [
    "TRIGGERS",
    "AllTrigger",
    "AnyTrigger",
    "ComplexityTrigger",
    "LossHistory",
    "LossNeed",
    "LossPoint",
    "PlateauTrigger",
    "Progress",
    "SameAsTrigger",
    "ScheduleTrigger",
    "Trigger",
    "ValidationNotRising",
]
