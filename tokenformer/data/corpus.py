"""The prepared corpus: the folder that `tokenformer prepare` writes and that the plan and the trainer read.

corpus.json                  the manifest: format version, language, measure, sources, tokenizer, totals, digests
tokenizer/                   Hugging Face tokenizer folder
train/, validation/          token shards `tokens_*.ds` and documents.parquet, a row a document, in the same order
report.json, report.txt      what was read, dropped and counted, for humans
checksums.json               size and hash of every file
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tokenformer.checksums import damage
from tokenformer.config.stored_records import read_json, record_of
from tokenformer.data.token_shards import TokenShards
from tokenformer.errors import UserError
from tokenformer.files import write_atomically

FORMAT_VERSION = 1
MANIFEST_FILE = "corpus.json"
TABLE_FILE = "documents.parquet"
TOKENIZER_FOLDER = "tokenizer"
SHARD_NAME = "tokens"
SPLITS = ("train", "validation")

_FORMAT = "tokenformer corpus"
_COLUMNS = {"tokens": np.int64, "words": np.int64, "bytes": np.int64, "source": np.int32, "complexity": np.float64}
_PREPARE = "tokenformer prepare INPUT ... --output"


@dataclass
class SplitRecord:
    """Facts of corpus.json about a split: sums over its documents, and SHA-256 of the tokens in each shard."""

    documents: int
    tokens: int
    words: int
    bytes: int
    shards_sha256: dict[str, str]


@dataclass
class CorpusRecord:
    """The schema of corpus.json."""

    format: str
    version: int
    language: str
    measure: str
    measure_unit: str
    unit: str
    sources: list[str]
    weights: list[float]
    vocabulary_size: int
    end_of_document_id: int
    tokenizer_sha256: str
    validation: dict[str, Any]
    splits: dict[str, SplitRecord]
    kinds: dict[str, dict[str, Any]] | None = None
    passage_words: int | None = None


@dataclass(frozen=True)
class DocumentColumns:
    """Columns of a split with one entry a document. All arrays have the length of the split in documents."""

    tokens: np.ndarray
    """Tokens, end-of-document token included: int64."""
    words: np.ndarray
    """Words that whitespace separates: int64."""
    bytes: np.ndarray
    """Length of the text in UTF-8, for bits per byte: int64."""
    source: np.ndarray
    """Index into `PreparedCorpus.sources`: int32."""
    complexity: np.ndarray
    """Complexity by the corpus's measure; harder is higher: float64."""

    def __len__(self) -> int:
        return len(self.tokens)

    def columns(self) -> dict[str, np.ndarray]:
        """The arrays by name, in the order of the file."""
        return {name: getattr(self, name) for name in _COLUMNS}


@dataclass(frozen=True)
class DocumentTable(DocumentColumns):
    """One split of a prepared corpus: a row a document."""

    shards: TokenShards
    """The documents' tokens."""


@dataclass(frozen=True)
class PreparedCorpus:
    """A prepared corpus, opened."""

    folder: Path
    tokenizer_folder: Path
    vocabulary_size: int
    end_of_document_id: int
    language: str
    measure: str
    """A key of `tokenformer.complexity.MEASURES`, or "percentile" where sources differ (`tokenformer.data.kinds`)."""
    measure_unit: str
    sources: list[str]
    weights: list[float]
    """How much the documents of each source weigh in the sample plan."""
    train: DocumentTable
    validation: DocumentTable
    manifest: dict
    """The content of corpus.json."""

    @classmethod
    def open(cls, folder: Path) -> "PreparedCorpus":
        """Open the folder and check that its files are as they were written, and that its parts fit each other.

        Raises UserError, with the remedy, for a folder that is missing, unfinished, damaged or of another version.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        tokenizer_folder = folder / TOKENIZER_FOLDER
        if not (tokenizer_folder / "tokenizer.json").is_file():
            raise _damaged(folder, f"{tokenizer_folder / 'tokenizer.json'} is missing")
        tables = {split: _open_table(folder, split, manifest) for split in SPLITS}
        return cls(
            folder=folder,
            tokenizer_folder=tokenizer_folder,
            vocabulary_size=manifest["vocabulary_size"],
            end_of_document_id=manifest["end_of_document_id"],
            language=manifest["language"],
            measure=manifest["measure"],
            measure_unit=manifest["measure_unit"],
            sources=manifest["sources"],
            weights=manifest["weights"],
            manifest=manifest,
            **tables,
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the manifest (which holds the digests of tokenizer and shards) and both document tables.

        It does not depend on where the folder lies nor on how Parquet encodes the tables.
        """
        digest = hashlib.sha256(json.dumps(self.manifest, sort_keys=True).encode("utf-8"))
        for table in (self.train, self.validation):
            for name, values in table.columns().items():
                digest.update(name.encode("utf-8"))
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def write_manifest(folder: Path, content: dict) -> None:
    """Write corpus.json; it is what makes a folder a prepared corpus, so it is written last."""
    manifest = {"format": _FORMAT, "version": FORMAT_VERSION, **content}
    write_atomically(folder / MANIFEST_FILE, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")


def write_table(folder: Path, table: DocumentColumns) -> None:
    """Write documents.parquet of a split into its folder."""
    import pyarrow
    from pyarrow import parquet

    columns = {name: values.astype(_COLUMNS[name]) for name, values in table.columns().items()}
    parquet.write_table(pyarrow.table(columns), folder / TABLE_FILE)


def _read_manifest(folder: Path) -> dict:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        if not folder.exists():
            raise UserError(f"there is no prepared corpus at {folder}: make one with {_PREPARE} {folder}")
        raise UserError(f"{folder} is not a prepared corpus, or an unfinished one: make it with {_PREPARE} {folder}")
    found = damage(folder)
    if found is not None:
        raise _damaged(folder, found)
    try:
        manifest = read_json(path)
    except UserError as error:
        raise _damaged(folder, f"{path} is not a corpus manifest ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise _damaged(folder, f"{path} is not a corpus manifest")
    version = manifest.get("version")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, and this tokenformer reads version {FORMAT_VERSION}: "
            f"prepare the corpus again with {_PREPARE} {folder} --overwrite"
        )
    record = record_of(manifest, CorpusRecord, path, f"prepare the corpus again with {_PREPARE} {folder} --overwrite")
    if set(record.splits) != set(SPLITS) or len(record.weights) != len(record.sources):
        raise _damaged(folder, f"{path} does not have two splits, or not a weight for each source")
    return manifest


def _open_table(folder: Path, split: str, manifest: dict) -> DocumentTable:
    import pyarrow
    from pyarrow import parquet

    path = folder / split / TABLE_FILE
    try:
        stored = parquet.read_table(path, columns=list(_COLUMNS))
    except (OSError, ValueError, KeyError, OverflowError, pyarrow.ArrowException) as error:
        raise _damaged(folder, f"{path} cannot be read ({error})") from error
    columns = {name: stored[name].to_numpy() for name in stored.column_names}
    if list(columns) != list(_COLUMNS):
        raise _damaged(folder, f"{path} does not have the columns {', '.join(_COLUMNS)}")
    table = DocumentTable(**columns, shards=TokenShards.open(folder / split, SHARD_NAME))
    if not np.array_equal(table.tokens, table.shards.lengths):
        raise _damaged(folder, f"{path} and the shards beside it hold different documents")
    if len(table) != manifest["splits"][split]["documents"]:
        raise _damaged(folder, f"{path} has {len(table)} documents and {MANIFEST_FILE} says otherwise")
    if len(table) and not 0 <= table.source.min() <= table.source.max() < len(manifest["sources"]):
        raise _damaged(folder, f"{path} names a source that {MANIFEST_FILE} does not")
    return table


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(f"{what}: prepare the corpus again with {_PREPARE} {folder} --overwrite")
