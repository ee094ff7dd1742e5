"""Hypothesis without deadlines: tests do not assert time."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
