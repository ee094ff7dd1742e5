"""docs/complexity.md states of every measure what the registry states."""

from tokenformer.complexity import MEASURES


def row(name: str) -> str:
    measure = MEASURES[name]
    return f"| `{name}` | {', '.join(measure.languages)} | {measure.unit} | {measure.source} | {measure.cost} |"


def test_the_table_of_measures_is_the_registry(repository):
    text = (repository / "docs" / "complexity.md").read_text(encoding="utf-8")
    start = text.index("| name | languages | unit | source | cost |")
    assert text[start:].split("\n\n")[0].splitlines()[2:] == [row(name) for name in MEASURES]
