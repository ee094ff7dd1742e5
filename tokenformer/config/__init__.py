"""The YAML of a run: Nanotron's own sections, plus growth, curriculum and validation."""
