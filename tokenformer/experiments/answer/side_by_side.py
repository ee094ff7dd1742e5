"""Ordinary runs laid side by side, without a grid: curves, a table, and where their configs differ."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tokenformer.config.comparison import differences
from tokenformer.errors import UserError
from tokenformer.experiments.answer.page import STYLE
from tokenformer.experiments.answer.pictures import ABSCISSAE, curves
from tokenformer.experiments.answer.text_table import TextTable
from tokenformer.experiments.records import Record, run_facts
from tokenformer.files import write_atomically
from tokenformer.reports.page import document
from tokenformer.run_folder.record import RunRecord

WARNING = (
    "Single runs: a difference between them may be chance, and their budgets and tuning may differ. A grid with seeds "
    "(experiments/README.md) tells more."
)


def write_side_by_side(folders: Sequence[Path], output: Path) -> str:
    """Writes page.html and table.md into `output`, and returns what is to be printed.

    Raises:
        UserError: a folder is not that of a run, or two have one name.
    """
    runs = [RunRecord.open(folder) for folder in folders]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UserError(f"two of the runs are called {max(names, key=names.count)}: give runs of different names")
    facts = dict(zip(names, map(run_facts, runs), strict=True))
    budgets, configs = _budgets(facts), _config_table(runs)
    title = " and ".join(names)
    output.mkdir(parents=True, exist_ok=True)
    table = "\n\n".join([f"# {title}", WARNING, budgets.markdown(), configs.markdown()])
    write_atomically(output / "table.md", table + "\n")
    shown = {name: [record] for name, record in facts.items()}
    sections = [f"<h1>{escape(title)}</h1>", f"<p>{escape(WARNING)}</p>", budgets.html(), "<h2>Curves</h2>"]
    sections += [curves(shown, key) for key in ABSCISSAE]
    sections += ["<h2>Differences of the configs</h2>", configs.html()]
    write_atomically(output / "page.html", document(title, sections, STYLE))
    return f"{budgets.markdown()}\n\n{configs.markdown()}\n\nSee {output / 'page.html'}"


def _budgets(facts: dict[str, Record]) -> TextTable:
    rows = []
    for name, record in facts.items():
        last = record["validations"][-1] if record["validations"] else None
        loss = ("", "") if last is None else (f"{last['loss']:.4f}", f"{last['bits_per_byte']:.4f}")
        grown = ", ".join(str(event["step"]) for event in record["growth"])
        rows.append(
            (
                name,
                f"{record['steps']:,}",
                f"{record['words']:,.0f}",
                f"{record['flops']:.3e}",
                f"{record['parameters']:,}",
                grown,
                *loss,
            )
        )
    headings = ("run", "steps", "words", "FLOPs", "parameters", "grew after", "held-out loss", "bits a byte")
    return TextTable(headings, tuple(rows))


def _config_table(runs: Sequence[RunRecord]) -> TextTable:
    """The keys that differ between the first run and any other."""
    keys: dict[str, None] = {}
    found = []
    for run in runs[1:]:
        found.append({key: now for key, _, now in differences(runs[0].config, run.config)})
        keys |= dict.fromkeys(found[-1])
    before = {key: old for run in runs[1:] for key, old, _ in differences(runs[0].config, run.config)}
    rows = [(key, str(before[key]), *(str(each.get(key, before[key])) for each in found)) for key in keys]
    return TextTable(("key", *(run.name for run in runs)), tuple(rows))
