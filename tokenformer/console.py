"""Tables, short numbers, and the progress of long work, for terminals and logs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDEST = 100_000
"""Columns of what is redirected, where nothing needs to be folded."""

SECONDS_BETWEEN_LINES = 20.0
"""Between two lines about the progress of work whose output is redirected."""


def short_number(value: float) -> str:
    """Three significant digits and a unit: 950, 1.23k, 45.6M, 1.2B, 3T; nothing above 999T has a unit."""
    rounded = float(f"{value:.3g}")
    for size, unit in ((1e3, "k"), (1e6, "M"), (1e9, "B"), (1e12, "T")):
        if size <= abs(rounded) < 1000 * size:
            return f"{rounded / size:.3g}{unit}"
    return f"{rounded:.3g}"


def printable(text: str) -> str:
    """`text` with control characters spelt out, since a terminal would obey them; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)


def show(text: str) -> None:
    """Prints text, whatever was read from files in it, without what a terminal would obey."""
    print(printable(text))


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    names: int = 1,
    width: int | None = None,
) -> str:
    """Rows of cells below the names of their columns; a column that does not fit is folded, so no character is lost.

    Args:
        names: so many columns stand to the left, the others, numbers, to the right.
        width: characters of a line; None is that of the terminal, and as many as it takes where there is none.
    """
    return _shown(_rich_table(columns, rows, names), _line_width(width))


def side_by_side(
    names: Sequence[str],
    groups: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str] | None]]],
    width: int | None = None,
) -> str:
    """Named rows with groups of columns, each group under a heading of its own.

    Groups that do not fit beside the others follow below, with the names of the rows again. A row that has no cell in a
    block is left out there.

    Args:
        groups: heading, columns, and for each row its cells, None where it has none.
        width: as of `table`.
    """
    limit, blocks, room = _line_width(width), [], 0
    name_width = max(map(len, names))
    for group in groups:
        size = _width(_rich_table(group[1], [row for row in group[2] if row], 0, group[0]))
        if size + 2 > room:
            blocks.append([])
            room = limit - name_width
        blocks[-1].append(group)
        room -= size + 2
    return "\n\n".join(_block(names, block, limit) for block in blocks)


def _block(names: Sequence[str], groups: Sequence[tuple], limit: int) -> str:
    from rich.table import Table

    used = [number for number in range(len(names)) if any(rows[number] for _, _, rows in groups)]
    whole = Table.grid(padding=(0, 2, 0, 0))
    parts = [_rich_table([""], [[names[number]] for number in used], 1, " ")]
    parts += [
        _rich_table(columns, [rows[number] or [""] * len(columns) for number in used], 0, heading)
        for heading, columns, rows in groups
    ]
    whole.add_row(*parts)
    return _shown(whole, max(limit, _width(whole)))


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], names: int, title: str | None = None) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=title and Text(printable(title)), box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_style=""
    )
    made.min_width = len(title or "")
    for number, column in enumerate(columns):
        made.add_column(Text(printable(column)), justify="left" if number < names else "right", overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def _line_width(width: int | None) -> int:
    if width is not None:
        return width
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST


def _width(part: Table) -> int:
    from rich.console import Console

    return Console(width=WIDEST).measure(part).maximum


def _shown(part: Table, width: int) -> str:
    """Plain text, without colours and without blanks at the ends of lines."""
    import io

    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(part)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip("\n").split("\n"))


@contextmanager
def progress_steps() -> Iterator[Callable]:
    """Gives `step(description, total=None)`, which starts a step and returns a function that advances it by n.

    Starting a step finishes the one before it. A terminal shows a bar for each step on standard error, without `total`
    one that only says that something is going on. Elsewhere a line every SECONDS_BETWEEN_LINES names the step and how
    far it is, also while nothing advances it.
    """
    from rich.console import Console

    console = Console(stderr=True)
    with _bars(console) if console.is_terminal else _lines() as step:
        yield step


@contextmanager
def _bars(console: Console) -> Iterator[Callable]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def step(description: str, total: int | None = None) -> Callable[[int], None]:
            for task in progress.tasks:
                if not task.finished:
                    done = task.total if task.total is not None else max(task.completed, 1)
                    progress.update(task.id, total=done, completed=done)
            task = progress.add_task(printable(description), total=total)
            return lambda amount: progress.advance(task, amount)

        yield step


@contextmanager
def _lines() -> Iterator[Callable]:
    current: dict = {}
    ended, started = threading.Event(), time.monotonic()

    def step(description: str, total: int | None = None) -> Callable[[int], None]:
        mine = {"description": printable(description), "total": total, "done": 0}
        current.clear()
        current["step"] = mine

        def advance(amount: int) -> None:
            mine["done"] += amount

        return advance

    def tell() -> None:
        while not ended.wait(SECONDS_BETWEEN_LINES):
            if current:
                print(_progress_line(time.monotonic() - started, **current["step"]), file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield step
    finally:
        ended.set()
        teller.join()


def _progress_line(seconds: float, description: str, total: int | None, done: int) -> str:
    share = f" of {total:,} ({100 * done / total:.0f} %)" if total else ""
    count = f": {done:,}{share}" if done else ""
    return f"{description}{count}, {seconds:.0f} s since the start"
