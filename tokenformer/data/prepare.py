"""Makes a corpus from text files: read, split, score, train or load a tokenizer, encode, write, report."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from tokenformer.checksums import write_checksums
from tokenformer.console import progress_steps
from tokenformer.data.corpus import MANIFEST_FILE, SPLITS, TOKENIZER_FOLDER, write_manifest
from tokenformer.data.corpus_report import LEAKED, REPEATED, report_dict, report_text
from tokenformer.data.corpus_scoring import available_processes, check_processes
from tokenformer.data.encoding import EncodedSplit, encode_split
from tokenformer.data.kinds import (
    PERCENTILE,
    PERCENTILE_UNIT,
    SEVERAL,
    SourceKind,
    Split,
    check_kinds,
    find_kinds,
    score_by_kind,
)
from tokenformer.data.options import PrepareOptions, is_held_out, text_key
from tokenformer.data.reading import InputSource, ReadingReport, Unit, read_documents
from tokenformer.data.source_files import SourceFile, list_source_files
from tokenformer.data.tokenizer import Tokenizer, check_vocabulary_size, load_tokenizer, train_tokenizer
from tokenformer.errors import UserError
from tokenformer.files import folder_built_beside, kept_folder, refuse_to_replace, write_atomically

_SHOWN_EVERY = 1000
"""Documents; the progress bar costs more than reading one."""

Step = Callable[..., Callable[[int], None]]
"""The function that `progress_steps` gives."""


@dataclass
class _Texts:
    """The documents of a split."""

    texts: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)

    def append(self, text: str, source: int, key: int) -> None:
        self.texts.append(text)
        self.sources.append(source)
        self.keys.append(key)


@dataclass
class _Reading:
    """All documents, split, and what reading them reported."""

    splits: dict[str, _Texts]
    weights: dict[str, float]
    """Source -> weight, in the order of the source indices."""
    reports: dict[str, ReadingReport]
    """"inputs", and "validation inputs" where there are any."""


def prepare_corpus(options: PrepareOptions) -> dict:
    """Write a prepared corpus (see `tokenformer.data.corpus`) and return its report (the content of report.json).

    The texts are held in memory (100M words of English are about 600 MB); tokens are streamed to disk. Everything is
    built in `.OUTPUT.tokenformer` and renamed at the end, so that the output is whole or absent; a failure removes
    what is not whole. Complexity scores that were finished before a failure are kept there, where the next
    run of the same documents and measure finds them. The same options on the same files give the same bytes in shards
    and tables.

    Raises UserError for options that do not hold, inputs that cannot be read, and an output that exists.
    """
    processes = options.processes
    if processes is None:
        processes = 1 if options.measure_parameters else available_processes()
    _check_options(options, processes)
    with folder_built_beside(options.output, options.overwrite) as folder, progress_steps() as step:
        reading = _read(options, step)
        kinds = _find_kinds(options, reading, step)
        splits = {name: Split(part.texts, part.sources) for name, part in reading.splits.items()}
        complexity = score_by_kind(
            splits,
            [found.kind for found in kinds.values()],
            options.measure_parameters,
            kept_folder(options.output),
            processes,
            step,
        )
        tokenizer = _get_tokenizer(options, reading.splits["train"].texts, folder / TOKENIZER_FOLDER, step)
        encoded = {}
        for split in SPLITS:
            texts = reading.splits[split]
            advance = step(f"encoding {split}", total=len(texts.texts))
            encoded[split] = encode_split(
                texts.texts, texts.sources, complexity[split], tokenizer, folder / split, advance
            )
        report = _report(options, reading, kinds, tokenizer, encoded)
        write_atomically(folder / "report.json", json.dumps(report, ensure_ascii=False, indent=2) + "\n")
        write_atomically(folder / "report.txt", report_text(report))
        write_manifest(folder, _manifest(options, reading, kinds, tokenizer, encoded))
        write_checksums(folder)
    return report


def _check_options(options: PrepareOptions, processes: int) -> None:
    """Refuse before any work is done what would fail after it."""
    if not options.inputs:
        raise UserError("there is nothing to prepare: give at least one file or folder of text")
    if options.unit not in get_args(Unit):
        raise UserError(f"unit '{options.unit}' is not known: choose one of {', '.join(get_args(Unit))}")
    if options.passage_words < 1:
        raise UserError(f"passage_words is {options.passage_words}: set it to 1 or more")
    check_processes(processes)
    if not options.validation_inputs and not 0 < options.validation_share < 1:
        raise UserError(
            f"validation_share is {options.validation_share}: set it between 0 and 1, or give held-out inputs"
        )
    if options.tokenizer is None:
        check_vocabulary_size(options.vocabulary_size)
    else:
        load_tokenizer(options.tokenizer)
    _check_output(options)
    sources = [file.source for files in (options.inputs, options.validation_inputs) for file in _files(files)]
    check_kinds(options.language, options.measure, list(dict.fromkeys(sources)))


def _files(inputs: Sequence[InputSource]) -> list[SourceFile]:
    return list_source_files(inputs, ReadingReport()) if inputs else []


def _check_output(options: PrepareOptions) -> None:
    output = options.output.resolve()
    for entry in (*options.inputs, *options.validation_inputs):
        place = entry.path.resolve()
        if output == place or place in output.parents or output in place.parents:
            raise UserError(
                f"the output {options.output} and the input {entry.path} lie in one another: choose another output"
            )
    if not options.overwrite:
        refuse_to_replace(options.output, "choose another output, or allow to overwrite it")
    elif output.exists() and not (output / MANIFEST_FILE).is_file():
        raise UserError(f"{options.output} is not a prepared corpus and will not be overwritten: choose another output")


def _read(options: PrepareOptions, step: Step) -> _Reading:
    reading = _Reading({split: _Texts() for split in SPLITS}, {}, {})
    share = 0.0 if options.validation_inputs else options.validation_share
    _read_inputs(reading, "inputs", options.inputs, share, options, step)
    if options.validation_inputs:
        _read_inputs(reading, "validation inputs", options.validation_inputs, 1.0, options, step)
    for split, texts in reading.splits.items():
        if not texts.texts:
            raise UserError(_no_documents(split, options, reading))
    return reading


def _read_inputs(
    reading: _Reading,
    name: str,
    inputs: Sequence[InputSource],
    held_out_share: float,
    options: PrepareOptions,
    step: Step,
) -> None:
    advance = step(f"reading {name}")
    report = reading.reports[name] = ReadingReport()
    weights = {file.source: file.weight for file in _files(inputs)}
    index = {source: place for place, source in enumerate(reading.weights)}
    documents = read_documents(inputs, options.unit, options.text_field, report, options.passage_words)
    for number, document in enumerate(documents, start=1):
        if document.source not in index:
            index[document.source] = len(index)
            reading.weights[document.source] = weights[document.source]
        key = text_key(document.text, options.seed)
        split = "validation" if is_held_out(key, held_out_share) else "train"
        reading.splits[split].append(document.text, index[document.source], key)
        if number % _SHOWN_EVERY == 0:
            advance(_SHOWN_EVERY)
    advance(report.total().documents % _SHOWN_EVERY)


def _no_documents(split: str, options: PrepareOptions, reading: _Reading) -> str:
    found = "\n".join(line for report in reading.reports.values() for line in report.lines())
    if reading.weights and not options.validation_inputs:
        remedy = f"change validation_share (now {options.validation_share}) or the seed, or give held-out inputs"
    else:
        remedy = f"check the inputs and, for rows, the text field (now '{options.text_field}')"
    return f"no document fell into the {split} split: {remedy}. What was read:\n{found}"


def _get_tokenizer(options: PrepareOptions, texts: list[str], folder: Path, step: Step) -> Tokenizer:
    if options.tokenizer is not None:
        load_tokenizer(options.tokenizer).save(folder)
        return load_tokenizer(folder)
    step("training the tokenizer")
    return train_tokenizer(iter(texts), options.vocabulary_size, folder)


def _find_kinds(options: PrepareOptions, reading: _Reading, step: Step) -> dict[str, SourceKind]:
    """The kind of each source, by its training texts; of a source that has none, by its held-out ones."""
    step("finding out languages")
    texts: dict[str, list[str]] = {source: [] for source in reading.weights}
    names = list(texts)
    for split in SPLITS:
        seen = {name for name in names if texts[name]}
        part = reading.splits[split]
        for text, source in zip(part.texts, part.sources, strict=True):
            if names[source] not in seen:
                texts[names[source]].append(text)
    return find_kinds(options.language, options.measure, texts)


def _summary(kinds: dict[str, SourceKind]) -> tuple[str, str, str]:
    """Language, measure and unit of the whole corpus."""
    from tokenformer.complexity import MEASURES

    different = {found.kind for found in kinds.values()}
    languages = {kind.language for kind in different}
    language = languages.pop() if len(languages) == 1 else SEVERAL
    if len(different) > 1:
        return language, PERCENTILE, PERCENTILE_UNIT
    measure = different.pop().measure
    return language, measure, MEASURES[measure].unit


def _report(
    options: PrepareOptions,
    reading: _Reading,
    kinds: dict[str, SourceKind],
    tokenizer: Tokenizer,
    encoded: dict[str, EncodedSplit],
) -> dict:
    keys = {split: np.array(texts.keys, dtype=np.uint64) for split, texts in reading.splits.items()}
    return report_dict(
        encoded,
        weights=reading.weights,
        reading=reading.reports,
        repeated={
            REPEATED: len(keys["train"]) - len(np.unique(keys["train"])),
            LEAKED: int(np.isin(keys["validation"], keys["train"]).sum()),
        },
        vocabulary={
            "size": tokenizer.vocabulary_size,
            "asked_for": options.vocabulary_size if options.tokenizer is None else None,
            "loaded_from": None if options.tokenizer is None else str(options.tokenizer),
            "end_of_document": tokenizer.end_of_document_token,
            "end_of_document_id": tokenizer.end_of_document_id,
            "sha256": tokenizer.fingerprint,
        },
        complexity={
            **dict(zip(("language", "measure", "unit"), _summary(kinds), strict=True)),
            "sources": {
                source: asdict(found.kind) | {"confidence": found.confidence, "overlap": found.overlap}
                for source, found in kinds.items()
            },
            "parameters": {key: str(value) for key, value in options.measure_parameters.items()},
        },
        command=options.command,
    )


def _manifest(
    options: PrepareOptions,
    reading: _Reading,
    kinds: dict[str, SourceKind],
    tokenizer: Tokenizer,
    encoded: dict[str, EncodedSplit],
) -> dict:
    language, measure, unit = _summary(kinds)
    is_mixed = measure == PERCENTILE
    return {
        "language": language,
        "measure": measure,
        "measure_unit": unit,
        **({"kinds": {source: asdict(found.kind) for source, found in kinds.items()}} if is_mixed else {}),
        "unit": options.unit,
        **({"passage_words": options.passage_words} if options.unit == "passage" else {}),
        "sources": list(reading.weights),
        "weights": list(reading.weights.values()),
        "vocabulary_size": tokenizer.vocabulary_size,
        "end_of_document_id": tokenizer.end_of_document_id,
        "tokenizer_sha256": tokenizer.fingerprint,
        "validation": {"share": None if options.validation_inputs else options.validation_share, "seed": options.seed},
        "splits": {
            split: {
                "documents": len(part.table),
                "tokens": int(part.table.tokens.sum()),
                "words": int(part.table.words.sum()),
                "bytes": int(part.table.bytes.sum()),
                "shards_sha256": part.digests,
            }
            for split, part in encoded.items()
        },
    }
