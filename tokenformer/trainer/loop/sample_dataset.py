"""The dataset that the trainer reads: equal pieces of the documents laid end to end in the plan's order."""

import numpy as np
from torch.utils.data import Dataset

from tokenformer.data.token_shards import TokenShards


class SampleDataset(Dataset):
    """Map-style dataset over the stream "documents of the plan in order, each with its end token".

    With L = `sequence_length`, sample i is the tokens [i L, i L + L + 1) of the stream: L inputs and, shifted by one,
    L targets. Neighbours share one token, so that every token but the first is a target exactly once; what is left
    at the end of the stream, fewer than L targets, is not read. A sample depends on i alone, not on workers or ranks.
    """

    def __init__(self, shards: TokenShards, order: np.ndarray, sequence_length: int):
        """`order`: int64[documents of the plan], the document in `shards` at each place; documents may recur.

        Raises ValueError for a sequence length below 1, IndexError for documents that the shards do not have.
        """
        if sequence_length < 1:
            raise ValueError(f"a sequence length of {sequence_length}")
        self.shards = shards
        self.order = np.asarray(order, dtype=np.int64)
        self.sequence_length = sequence_length
        if np.any((self.order < 0) | (self.order >= len(shards))):
            raise IndexError(f"the plan names documents outside of the {len(shards)} that the shards hold")
        self.starts = np.concatenate(([0], np.cumsum(shards.lengths[self.order])))
        """Where in the stream each document of the plan starts, and the stream's length: int64[documents + 1]."""

    def __len__(self) -> int:
        """Number of whole samples."""
        return max(0, int(self.starts[-1]) - 1) // self.sequence_length

    def __getitem__(self, sample: int) -> dict[str, np.ndarray]:
        """`{"input_ids": int64[sequence_length + 1]}`. Raises IndexError outside of 0 .. len - 1."""
        if not 0 <= sample < len(self):
            raise IndexError(f"sample {sample} of {len(self)}")
        start = sample * self.sequence_length
        return {"input_ids": self._read(start, start + self.sequence_length + 1)}

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Tokens [start, stop) of the stream: int64[stop - start]."""
        tokens = np.empty(stop - start, dtype=np.int64)
        place = int(np.searchsorted(self.starts, start, side="right")) - 1
        position = start
        while position < stop:
            document_start, document_stop = int(self.starts[place]), int(self.starts[place + 1])
            piece_stop = min(stop, document_stop)
            tokens[position - start : piece_stop - start] = self.shards.read(
                int(self.order[place]), position - document_start, piece_stop - document_start
            )
            position = piece_stop
            place += 1
        return tokens
