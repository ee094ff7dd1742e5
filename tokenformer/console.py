"""Progress of the steps of a long job, on standard error; silent where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_steps() -> Iterator[Callable]:
    """Gives `step(description, total=None)`, which starts a step's bar and returns a function that advances it by n.

    Starting a step finishes the one before it. Without `total` the bar only shows that something is going on.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def step(description: str, total: int | None = None) -> Callable[[int], None]:
            for task in progress.tasks:
                if not task.finished:
                    done = task.total if task.total is not None else max(task.completed, 1)
                    progress.update(task.id, total=done, completed=done)
            task = progress.add_task(description, total=total)
            return lambda amount: progress.advance(task, amount)

        yield step
