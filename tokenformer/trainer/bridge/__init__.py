"""Everything that knows the inside of Nanotron: repairs, registry, translated settings."""
