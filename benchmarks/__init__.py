"""Measurements, run by hand: `python -m benchmarks.NAME`. Timing is measured here and asserted nowhere."""
