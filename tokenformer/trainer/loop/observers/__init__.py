"""Observers of the steps of a run, one for each matter."""
