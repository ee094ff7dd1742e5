"""Turns the words of a command line into a verb, and the end of the verb into a line and an exit status."""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any, Union

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, PositionalMetavarFromFieldName, subcommand

from tokenformer import __version__
from tokenformer.checksums import without_comparison
from tokenformer.cli.arguments import REGISTRY, Verified
from tokenformer.cli.signals import EndedBySignal, raised_signals, say
from tokenformer.cli.verbs import VERBS, Train
from tokenformer.devices import process_rank
from tokenformer.errors import UserError

DESCRIPTION = """Grow a language model while it trains.

The subcommands are called verbs: `tokenformer VERB --help` explains one. `tokenformer --version` prints the version.
`tokenformer --tyro-print-completion bash` (or zsh, or fish) prints a script that completes verbs and options."""


def parse(words: Sequence[str]) -> Any:
    """The verb that the words ask for, an instance of a class of `VERBS`.

    Raises:
        SystemExit: with 2 and a message for words that cannot be read, with 0 after help.
        UserError: a value is wrong.
    """
    verbs: Any = Union[tuple(Annotated[verb, subcommand(name, prefix_name=False)] for name, verb in VERBS.items())]  # noqa: UP007
    verb = tyro.cli(
        verbs,
        prog="tokenformer",
        description=DESCRIPTION,
        args=list(_shielded(words)),
        config=(OmitArgPrefixes, FlagCreatePairsOff, PositionalMetavarFromFieldName),
        registry=REGISTRY,
        console_outputs=process_rank() == 0,
    )
    return replace(verb, command=shlex.join(["tokenformer", *words])) if hasattr(verb, "command") else verb


def _shielded(words: Sequence[str]) -> Iterator[str]:
    """The words, with a space before a task that is left out, as in `--tasks blimp -NAME`: it is no option."""
    option = ""
    for word in words:
        option = word.partition("=")[0] if word.startswith("--") else option
        yield f" {word}" if option == "--tasks" and re.match(r"-[^-]{2}", word) else word


def main(words: Sequence[str] | None = None) -> int:
    """Runs one verb; gives the exit status.

    What a user can set right, and what the operating system refuses, is one line and status 2. An interruption from the
    keyboard is status 130, SIGTERM 143, and a reader that went away (`tokenformer plan ... | head`) 0.
    """
    words = sys.argv[1:] if words is None else words
    if [*words] == ["--version"]:
        print(f"tokenformer {__version__}")
        return 0
    try:
        verb = parse(words)
        with ExitStack() as contexts:
            if not isinstance(verb, Train):  # a run stops by itself after a step, with a checkpoint
                contexts.enter_context(raised_signals())
            if not _is_verified(verb):
                contexts.enter_context(without_comparison())
            verb()
            sys.stdout.flush()
    except UserError as error:
        return _end(2, "; ".join(str(error).splitlines()))
    except BrokenPipeError:
        # What is left in the buffer would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _end(2, _refusal(error))
    except EndedBySignal as ended:
        return _end(ended.status, ended.line)
    except KeyboardInterrupt:
        return _end(130, "interrupted")
    return 0


def _is_verified(verb: Any) -> bool:
    return verb.verify if isinstance(verb, Verified) else True


def _refusal(error: OSError) -> str:
    """Says in one line what the operating system refused, and where, if it tells."""
    places = " to ".join(str(place) for place in (error.filename, error.filename2) if place is not None)
    return ": ".join(filter(None, (places, error.strerror or str(error) or type(error).__name__)))


def _end(status: int, message: str) -> int:
    if process_rank() == 0:
        say(message)
    return status
