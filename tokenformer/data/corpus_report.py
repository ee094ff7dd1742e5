"""The report of a prepared corpus: how much of what there is, and what was repaired or left out."""

from collections.abc import Mapping

import numpy as np

import tokenformer
from tokenformer.console import WIDEST, table
from tokenformer.data.corpus import DocumentColumns
from tokenformer.data.encoding import EncodedSplit
from tokenformer.data.reading_report import ReadingReport

QUANTILES = (5, 25, 50, 75, 95)
"""Percent."""

REPEATED = "training documents that repeat another"
LEAKED = "validation documents that also occur in training"
"""Names of the counts of repeated documents in the report."""


def report_dict(
    encoded: Mapping[str, EncodedSplit],
    weights: Mapping[str, float],
    reading: Mapping[str, ReadingReport],
    repeated: Mapping[str, int],
    vocabulary: Mapping,
    complexity: Mapping,
    command: str | None,
) -> dict:
    """The content of report.json; `warnings` are sentences that whoever prepares should see at once.

    `encoded`: by split; `weights`: by source, in the order of the tables' source indices; `reading`: by kind of input;
    `repeated`: how many documents are REPEATED and LEAKED.
    """
    return {
        "tokenformer": tokenformer.__version__,
        "command": command,
        "warnings": _warnings(encoded, list(weights), repeated),
        "total": {split: _counts(part.table, np.ones(len(part.table), dtype=bool)) for split, part in encoded.items()},
        "sources": {
            source: {"weight": weight}
            | {split: _counts(part.table, part.table.source == index) for split, part in encoded.items()}
            for index, (source, weight) in enumerate(weights.items())
        },
        "vocabulary": dict(vocabulary),
        "complexity": dict(complexity),
        "exactness": {
            split: {
                "encoded_tokens": part.encoded_tokens,
                "end_of_document_tokens": len(part.table),
                "tokens_in_shards": int(part.table.tokens.sum()),
            }
            for split, part in encoded.items()
        },
        "repeated": dict(repeated),
        "reading": {name: report.as_dict() | {"lines": report.lines()} for name, report in reading.items()},
    }


def _warnings(encoded: Mapping[str, EncodedSplit], sources: list[str], repeated: Mapping[str, int]) -> list[str]:
    warnings = []
    held_out = set(encoded["validation"].table.source.tolist())
    unmeasured = [source for index, source in enumerate(sources) if index not in held_out]
    if unmeasured:
        warnings.append(
            f"no document is held out of {', '.join(unmeasured)}: there will be no validation loss for these; "
            "choose smaller documents (unit), a larger validation_share or held-out inputs"
        )
    if repeated[LEAKED]:
        warnings.append(f"{repeated[LEAKED]:,} {LEAKED}: their validation loss flatters the model; remove them")
    return warnings


def _counts(table: DocumentColumns, rows: np.ndarray) -> dict:
    """Sums and quantiles over the documents that the mask `rows` chooses."""
    words, tokens = int(table.words[rows].sum()), int(table.tokens[rows].sum())
    chosen = table.complexity[rows]
    return {
        "documents": int(rows.sum()),
        "words": words,
        "tokens": tokens,
        "bytes": int(table.bytes[rows].sum()),
        "tokens_per_word": tokens / words if words else None,
        "complexity": dict(zip(map(str, QUANTILES), np.percentile(chosen, QUANTILES).tolist(), strict=True))
        if len(chosen)
        else None,
    }


def report_text(report: Mapping) -> str:
    """The report for a human reader (report.txt)."""
    parts = {"all": report["total"], **report["sources"]}
    complexity, vocabulary = report["complexity"], report["vocabulary"]
    repeated = [f"{count:,} {what}" for what, count in report["repeated"].items()]
    lines = [
        f"Corpus prepared by tokenformer {report['tokenformer']}",
        *([f"made by: {report['command']}"] if report["command"] else []),
        *(f"WARNING: {warning}" for warning in report["warnings"]),
        "",
        table(
            ("source", "split", "weight", "documents", "words", "tokens", "bytes", "tokens/word"),
            [_size_row(name, split, part) for name, part in parts.items() for split in report["total"]],
            names=2,
            width=WIDEST,
        ),
        "",
        f"Complexity: {complexity['measure']} in {complexity['unit']} (language {complexity['language']}), "
        "percentiles over documents",
        *_kind_lines(complexity["sources"]),
        table(
            ("source", "split", *(f"{percent} %" for percent in QUANTILES)),
            [_complexity_row(name, split, part) for name, part in parts.items() for split in report["total"]],
            names=2,
            width=WIDEST,
        ),
        "",
        f"Vocabulary: {vocabulary['size']:,} tokens"
        + (f" of {vocabulary['asked_for']:,} asked for" if vocabulary["asked_for"] else "")
        + (f", loaded from {vocabulary['loaded_from']}" if vocabulary["loaded_from"] else "")
        + f"; documents end with {vocabulary['end_of_document']} (id {vocabulary['end_of_document_id']})",
        *(
            f"Tokens in {split}: {sums['encoded_tokens']:,} encoded + {sums['end_of_document_tokens']:,} document "
            f"ends = {sums['tokens_in_shards']:,} in the shards"
            for split, sums in report["exactness"].items()
        ),
        f"Repeated (but for case, spacing and Unicode form): {', '.join(repeated)}",
    ]
    for name, reading in report["reading"].items():
        lines += ["", f"Read from the {name}:", *(f"  {line}" for line in reading["lines"])]
    return "\n".join(lines) + "\n"


def _kind_lines(sources: Mapping[str, Mapping]) -> list[str]:
    """A line for each kind of text, with its sources; the confidence is that of the least sure of them."""
    by_kind: dict[tuple[str, str], list[str]] = {}
    for source, kind in sources.items():
        by_kind.setdefault((kind["language"], kind["measure"]), []).append(source)
    lines = []
    for (language, measure), names in by_kind.items():
        found = [sources[name]["confidence"] for name in names if sources[name]["confidence"] is not None]
        how = f"found out with confidence {min(found):.2f}" if found else "given"
        lines.append(f"language {language} ({how}), measure {measure}: {', '.join(names)}")
    known = [f"{100 * kind['overlap']:.0f} % of {name}" for name, kind in sources.items() if kind["overlap"] >= 0.01]
    if known:
        lines.append(
            f"Part of the simple text that surprisal is counted in: {', '.join(known)}; such text is scored without "
            "its own counts"
        )
    return lines


def _size_row(name: str, split: str, part: Mapping) -> tuple[str, ...]:
    counts = part[split]
    per_word = counts["tokens_per_word"]
    return (
        name,
        split,
        f"{part['weight']:g}" if "weight" in part else "",
        *(f"{counts[column]:,}" for column in ("documents", "words", "tokens", "bytes")),
        "-" if per_word is None else f"{per_word:.3f}",
    )


def _complexity_row(name: str, split: str, part: Mapping) -> tuple[str, ...]:
    quantiles = part[split]["complexity"]
    return (name, split, *("-" if quantiles is None else f"{quantiles[str(percent)]:.3f}" for percent in QUANTILES))
