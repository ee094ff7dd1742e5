"""One split of a corpus, from texts to token shards and a document table on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenformer.batches import batches
from tokenformer.data.corpus import SHARD_NAME, TOKENIZER_FOLDER, DocumentColumns, write_table
from tokenformer.data.token_shards import ShardWriter, TokenShards
from tokenformer.data.tokenizer import Tokenizer

_CHARACTERS_PER_BATCH = 1_000_000


@dataclass(frozen=True)
class EncodedSplit:
    """The shards and the table that were written for a split."""

    table: DocumentColumns
    encoded_tokens: int
    """Tokens that the tokenizer gave, end-of-document tokens not among them."""
    digests: dict[str, str]
    """Shard file -> SHA-256 of its tokens."""


def encode_split(
    texts: Sequence[str],
    sources: Sequence[int],
    complexity: np.ndarray,
    tokenizer: Tokenizer,
    folder: Path,
    advance: Callable[[int], None],
) -> EncodedSplit:
    """Write the shards and documents.parquet of a split into `folder`.

    `sources` and `complexity` have an entry for each text; `advance` is called with the number of documents done.
    Raises RuntimeError if the shards, read back, do not hold the encoded tokens and one end token for each document.
    """
    encoded_tokens = 0
    words = np.empty(len(texts), dtype=np.int64)
    sizes = np.empty(len(texts), dtype=np.int64)
    writer = ShardWriter(
        folder,
        SHARD_NAME,
        tokenizer.vocabulary_size,
        tokenizer.end_of_document_id,
        tokenizer_name=f"../{TOKENIZER_FOLDER}/tokenizer.json",
    )
    with writer:
        for batch in batches(texts, _CHARACTERS_PER_BATCH):
            for text, tokens in zip(batch, tokenizer.encode_batch(batch), strict=True):
                words[writer.documents] = len(text.split())
                sizes[writer.documents] = len(text.encode("utf-8"))
                encoded_tokens += len(tokens)
                writer.write(tokens)
            advance(len(batch))
    shards = TokenShards.open(folder, SHARD_NAME)
    if len(shards) != len(texts) or shards.total != encoded_tokens + len(texts):
        raise RuntimeError(
            f"{folder}: {encoded_tokens} tokens of {len(texts)} documents were encoded, but the shards hold "
            f"{shards.total} tokens of {len(shards)} documents"
        )
    table = DocumentColumns(
        tokens=shards.lengths,
        words=words,
        bytes=sizes,
        source=np.array(sources, dtype=np.int32),
        complexity=complexity.astype(np.float64),
    )
    write_table(folder, table)
    return EncodedSplit(table, encoded_tokens, writer.digests)
