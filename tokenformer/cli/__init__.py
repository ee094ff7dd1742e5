"""The command line: reads the words, runs one verb, and says in one line what a user can set right."""

from tokenformer.cli.main import main, parse

__all__ = ["main", "parse"]
