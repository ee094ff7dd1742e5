"""Programs as a corpus: reading source trees, and minimal pairs of Python."""
