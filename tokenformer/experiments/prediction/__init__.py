"""Losses of runs that nobody made yet, by a law that is fitted to the records of finished ones."""
