"""The answer to a grid in words, tables and pictures."""
