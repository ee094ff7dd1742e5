"""Token shards on disk in datatrove's format: writing them document by document, reading them by memory map.

A shard is three files: `NAME_00000.ds`, the tokens as little-endian uint16 or uint32; `.ds.index`, the end of each
document in tokens as uint64; and `.ds.metadata`, whose first line is `tokenizer|bytes per token`. Nanotron's and
datatrove's own readers open them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokenformer.errors import UserError

TOKENS_PER_SHARD = 100_000_000
_LARGEST_UINT16_VOCABULARY = 2**16


def token_size(vocabulary_size: int) -> int:
    """Bytes that a token id takes on disk: 2 where every id fits, else 4."""
    return 2 if vocabulary_size <= _LARGEST_UINT16_VOCABULARY else 4


def _token_type(size: int) -> np.dtype:
    return np.dtype(f"<u{size}")


class ShardWriter:
    """Writes documents, each followed by the end-of-document token, into shards of at most `tokens_per_shard` tokens.

    A document longer than that has a shard of its own. Use as a context manager; the shards are complete at its end.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        vocabulary_size: int,
        end_of_document_id: int,
        tokenizer_name: str,
        tokens_per_shard: int = TOKENS_PER_SHARD,
    ):
        """`tokenizer_name` goes into the metadata, where `|` ends it."""
        if "|" in tokenizer_name:
            raise ValueError(f"a tokenizer's name in the metadata of a shard may have no '|': {tokenizer_name}")
        self.documents = 0
        self.tokens = 0
        """Tokens written so far, end-of-document tokens included."""
        self.digests: dict[str, str] = {}
        """File name -> SHA-256 of its tokens, of the shards that are complete."""
        self._folder = folder
        self._name = name
        self._end_of_document_id = end_of_document_id
        self._tokenizer_name = tokenizer_name
        self._tokens_per_shard = tokens_per_shard
        self._type = _token_type(token_size(vocabulary_size))
        self._open = None
        """The file and the digest of the shard that is being written."""

    def __enter__(self) -> "ShardWriter":
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *exception) -> None:
        self._finish_shard()

    def write(self, tokens: Sequence[int]) -> None:
        """Append one document; its end token is added here. Raises OverflowError for ids that do not fit."""
        document = np.asarray([*tokens, self._end_of_document_id], dtype=np.int64)
        if document.min() < 0 or document.max() > np.iinfo(self._type).max:
            raise OverflowError(f"a token id does not fit into {self._type.itemsize} bytes")
        if self._open is not None and len(self._open[0]) + len(document) > self._tokens_per_shard:
            self._finish_shard()
        file, digest = self._open = self._open or self._started_shard()
        raw = document.astype(self._type).tobytes()
        file.write_bytes(raw)
        digest.update(raw)
        self.documents += 1
        self.tokens += len(document)

    def _started_shard(self):
        from datatrove.pipeline.tokens.tokenizer import TokenizedFile

        file = TokenizedFile(
            str(self._folder),
            f"{self._name}_{len(self.digests):05d}.ds",
            tokenizer_name_or_path=self._tokenizer_name,
            save_final_metadata=True,
            token_size=self._type.itemsize,
        )
        return file, hashlib.sha256()

    def _finish_shard(self) -> None:
        if self._open is not None:
            file, digest = self._open
            file.close()
            self.digests[file.filename] = digest.hexdigest()
            self._open = None


class TokenShards:
    """Random access to the documents of a folder's shards, by memory map.

    An instance can be sent to a worker process, which maps the files anew.
    """

    def __init__(self, paths: list[Path], token_size: int, ends: list[np.ndarray]):
        """`ends`: for each shard, the end of each document in tokens, int64[documents in the shard]."""
        self.paths = paths
        self.token_size = token_size
        self.lengths = np.concatenate([np.diff(shard, prepend=0) for shard in ends])
        """Tokens of each document, end-of-document token included: int64[documents]."""
        self.total = int(self.lengths.sum())
        self._starts = np.concatenate([np.concatenate(([0], shard[:-1])) for shard in ends])
        self._last_documents = np.cumsum([len(shard) for shard in ends])
        self._maps: dict[int, np.memmap] = {}

    @classmethod
    def open(cls, folder: Path, name: str) -> "TokenShards":
        """Open `NAME_*.ds` of `folder`.

        Raises UserError when there is none, or when a shard's files are missing or do not fit each other.
        """
        paths = sorted(folder.glob(f"{name}_*.ds"))
        if not paths:
            raise UserError(f"{folder} holds no token shards {name}_*.ds: write them with tokenformer prepare")
        sizes = {_read_token_size(path) for path in paths}
        if len(sizes) > 1:
            raise UserError(f"the shards {name}_*.ds in {folder} differ in bytes per token: prepare the corpus again")
        size = sizes.pop()
        return cls(paths, size, [_read_ends(path, size) for path in paths])

    def __len__(self) -> int:
        return len(self.lengths)

    def document_tokens(self, document: int) -> np.ndarray:
        """Tokens of a document, the end-of-document token last: uint16 or uint32[lengths[document]], read-only."""
        return self.read(document, 0, int(self.lengths[document]))

    def read(self, document: int, start: int, stop: int) -> np.ndarray:
        """Tokens [start, stop) of a document: uint16 or uint32[stop - start], read-only.

        Raises IndexError outside of the document.
        """
        if not (0 <= document < len(self) and 0 <= start <= stop <= self.lengths[document]):
            raise IndexError(f"tokens {start} to {stop} of document {document}")
        shard = int(np.searchsorted(self._last_documents, document, side="right"))
        offset = int(self._starts[document])
        return np.asarray(self._map(shard)[offset + start : offset + stop])

    def _map(self, shard: int) -> np.memmap:
        if shard not in self._maps:
            self._maps[shard] = np.memmap(self.paths[shard], dtype=_token_type(self.token_size), mode="r")
        return self._maps[shard]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_maps": {}}


def _read_token_size(path: Path) -> int:
    metadata = path.with_name(f"{path.name}.metadata")
    try:
        size = metadata.read_text(encoding="utf-8").splitlines()[0].rpartition("|")[2]
    except (OSError, IndexError, UnicodeDecodeError):
        size = ""
    if size not in ("2", "4"):
        raise UserError(f"{metadata} is missing or does not say how many bytes a token has: prepare the corpus again")
    return int(size)


def _read_ends(path: Path, size: int) -> np.ndarray:
    index = path.with_name(f"{path.name}.index")
    if not index.is_file() or index.stat().st_size % 8:
        raise UserError(f"{index} is missing or cut short: prepare the corpus again")
    ends = np.fromfile(index, dtype="<u8").astype(np.int64)
    if len(ends) == 0 or ends[-1] * size != path.stat().st_size or np.any(np.diff(ends, prepend=0) < 1):
        raise UserError(f"{path} does not have the documents that {index.name} lists: prepare the corpus again")
    return ends
