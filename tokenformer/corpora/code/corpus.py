"""A corpus of programs from a source tree: documents for training and validation, and minimal pairs."""

import json
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tokenformer.corpora.code.pairs import Candidate, candidates_of, pairs_from
from tokenformer.corpora.code.source_tree import SourceText, TreeReport, list_sources, read_source, standard_library
from tokenformer.corpora.code.syntax import Definition, block_depth, definitions, parsed
from tokenformer.corpora.options import CodeCorpusOptions, CodeUnit
from tokenformer.data.options import is_held_out, text_key
from tokenformer.errors import UserError
from tokenformer.files import folder_built_beside, refuse_to_replace, write_atomically

LICENCE_FILES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")


def write_code_corpus(output: Path, options: CodeCorpusOptions) -> None:
    """Write `train/code.jsonl`, `validation/code.jsonl`, README.txt, the licence files, and when asked `pairs.jsonl`.

    A row is a document: `text`, `path`, `kind` (file, function or class), `name`, `line` and, of Python, `depth` (see
    `block_depth`). Files are read in the order of their paths; a hash of a file's text decides its split, and a text
    that occurred before is left out, so that none is in both. README.txt says what was read, what was skipped and why,
    and whose licence holds. The same tree and options give the same bytes; memory grows by 8 bytes a document, and by
    the held-out functions when pairs are asked for. The output is whole or absent.

    Raises UserError for an output that exists, a source that is no folder or gives no document, and too few pairs.
    """
    refuse_to_replace(output)
    root = standard_library() if options.source is None else options.source
    report = TreeReport()
    paths = list_sources(root, options.suffixes, report)
    with folder_built_beside(output) as folder:
        written, candidates = _write_documents(folder, root, paths, options, report)
        if not all(written.values()):
            raise UserError(
                f"{root} gives {written['train']} training and {written['validation']} validation documents: give a "
                "larger source tree, or change the validation share or the seed.\n" + "\n".join(report.lines())
            )
        if options.pairs:
            pairs = pairs_from(candidates, options.pairs, options.seed)
            write_atomically(folder / "pairs.jsonl", "".join(json.dumps(pair.as_dict()) + "\n" for pair in pairs))
        licences = _copy_licences(root, folder)
        write_atomically(folder / "README.txt", _readme(options, root, written, report, licences))


def _write_documents(
    folder: Path, root: Path, paths: Sequence[str], options: CodeCorpusOptions, report: TreeReport
) -> tuple[dict[str, int], list[Candidate]]:
    """How many documents each split has, and the held-out functions for pairs."""
    written, seen, candidates = {"train": 0, "validation": 0}, set(), []
    with ExitStack() as stack:
        streams = {}
        for split in written:
            (folder / split).mkdir()
            streams[split] = stack.enter_context(
                (folder / split / "code.jsonl").open("w", encoding="utf-8", newline="\n")
            )
        for file in filter(None, (read_source(root, path, report) for path in paths)):
            split = (
                "validation" if is_held_out(text_key(file.text, options.seed), options.validation_share) else "train"
            )
            for row in _rows(file, options.unit):
                key = text_key(row["text"], 0)
                if key in seen:
                    report.skip("repeated", f"{file.path}:{row['line']}")
                    continue
                seen.add(key)
                written[split] += 1
                streams[split].write(json.dumps(row) + "\n")
            if split == "validation" and options.pairs and file.path.endswith(".py"):
                candidates += candidates_of(file)
    return written, candidates


def _rows(file: SourceText, unit: CodeUnit) -> Iterator[dict]:
    tree = parsed(file.text) if file.path.endswith(".py") else None
    if unit == "definition" and tree is not None:
        yield from (_row(file, asdict(definition)) for definition in definitions(file.text, tree))
        return
    whole = Definition(file.text, "file", Path(file.path).stem, 1, block_depth(tree) if tree else 0)
    row = _row(file, asdict(whole))
    yield row if tree else {key: value for key, value in row.items() if key != "depth"}


def _row(file: SourceText, content: dict) -> dict:
    return {"text": content.pop("text"), "path": file.path, **content}


def _copy_licences(root: Path, folder: Path) -> list[str]:
    found = sorted({path for pattern in LICENCE_FILES for path in root.glob(pattern) if path.is_file()})
    for path in found:
        shutil.copyfile(path, folder / path.name)
    return [path.name for path in found]


def _readme(
    options: CodeCorpusOptions, root: Path, written: dict[str, int], report: TreeReport, licences: list[str]
) -> str:
    copied = f" It is copied here: {', '.join(licences)}." if licences else ""
    if options.source is None:
        origin = f"The standard library of {platform.python_implementation()} {platform.python_version()}."
        licence = (
            "The texts are under the Python Software Foundation License Version 2 "
            f"(https://docs.python.org/3/license.html), copyright Python Software Foundation.{copied}"
        )
    else:
        origin = f"The source tree {root.name}."
        licence = f"The texts are under the licence of that source tree.{copied}"
    counts = ", ".join(f"{amount:,} documents in {split}/" for split, amount in written.items())
    return "\n".join([origin, licence, f"A document is a {options.unit}; {counts}.", *report.lines(), ""])
