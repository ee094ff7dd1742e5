"""Brackets of any number of kinds, and counting of bracket strings that open no more than so many at once."""

from functools import lru_cache

SHAPES = ("()", "[]", "{}", "<>")


def bracket_pairs(kinds: int) -> list[tuple[str, str]]:
    """Opening and closing symbol of each kind; from the fifth on with a number: `(1` and `)1`."""
    numbers = [str(kind // len(SHAPES)) if kind >= len(SHAPES) else "" for kind in range(kinds)]
    shapes = [SHAPES[kind % len(SHAPES)] for kind in range(kinds)]
    return [(shape[0] + number, shape[1] + number) for shape, number in zip(shapes, numbers, strict=True)]


def most_open(symbols: list[str]) -> int:
    """The largest number of brackets that are open at once."""
    most = level = 0
    for symbol in symbols:
        level += 1 if symbol[0] in "([{<" else -1
        most = max(most, level)
    return most


@lru_cache(maxsize=256)
def dyck_completions(deepest: int, longest: int) -> list[list[int]]:
    """`table[left][level]`: ways to go on from `level` open brackets of one kind with `left` symbols, back to none.

    At most `deepest` are open at any time.
    """
    table = [[1] + [0] * deepest]
    for _ in range(longest):
        before = table[-1]
        table.append(
            [
                (before[level + 1] if level < deepest else 0) + (before[level - 1] if level else 0)
                for level in range(deepest + 1)
            ]
        )
    return table


@lru_cache(maxsize=64)
def shuffle_completions(kinds: int, most: int, longest: int) -> list[dict[tuple[int, ...], int]]:
    """`table[left][open]`: ways to go on with `left` symbols of `kinds` kinds that are counted apart, back to none.

    `open` has the open brackets of each kind in sorted order, since the kinds are alike; they are at most `most` in
    all. Counts of 0 are left out.
    """
    table: list[dict[tuple[int, ...], int]] = [{(0,) * kinds: 1}]
    for _ in range(longest):
        ways: dict[tuple[int, ...], int] = {}
        for state in {_neighbour for known in table[-1] for _neighbour in neighbours(known, most)}:
            total = sum(table[-1].get(after, 0) for after in neighbours(state, most))
            if total:
                ways[state] = total
        table.append(ways)
    return table


def neighbours(state: tuple[int, ...], most: int) -> list[tuple[int, ...]]:
    """The sorted states after one more symbol: every kind opened, then every kind closed, as far as allowed."""
    room = sum(state) < most
    opened = [tuple(sorted((*state[:kind], state[kind] + 1, *state[kind + 1 :]))) for kind in range(len(state)) if room]
    closed = [
        tuple(sorted((*state[:kind], state[kind] - 1, *state[kind + 1 :]))) for kind in range(len(state)) if state[kind]
    ]
    return opened + closed
