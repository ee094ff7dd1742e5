"""Losses of texts under a stored checkpoint, for the measures `perplexity` and `loss_gap`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from tokenformer.batches import batches
from tokenformer.data.tokenizer import Tokenizer
from tokenformer.errors import UserError
from tokenformer.trainer.checkpoint.loaded_model import loaded_model, tokenizer_of
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

TOKENS_AT_ONCE = 8192


class CheckpointLosses:
    """Loss of texts under a checkpoint of any layout, in one process; a `tokenformer.curriculum` `TextLosses`.

    A text follows an end-of-document token, as in training; a longer one than the context is read in windows that
    follow one another, each token a label once. The model is built anew at every call, which should be of many texts,
    so that no process group stays behind. It can be sent to another process.

    Args:
        checkpoint: RUN/checkpoints/STEP, or what `tokenformer import` and `grow` wrote.
        tokenizer: its tokenizer folder; None is that of the run's corpus.

    Raises, when made:
        UserError: there is no checkpoint, its tokenizer is not known, or the two do not fit.
    """

    def __init__(self, checkpoint: Path, tokenizer: Path | None = None):
        self.checkpoint = Path(checkpoint)
        stored = StoredCheckpoint(self.checkpoint)
        self.context_length = stored.model_config.max_position_embeddings
        self.tokenizer = tokenizer_of(stored, tokenizer)

    def __str__(self) -> str:
        return str(self.checkpoint)

    def __reduce__(self):
        return (CheckpointLosses, (self.checkpoint, self.tokenizer.folder))

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Nats float64[n] and tokens int64[n] of n texts."""
        return self.of_tokens(self.tokenizer.encode_batch(list(texts)))

    def of_tokens(self, encoded: Sequence[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Nats float64[n] and tokens int64[n] of n texts whose token ids are known."""
        nats = np.zeros(len(encoded))
        stored = StoredCheckpoint(self.checkpoint)
        with loaded_model(stored, stored.dtype) as model:
            windows_by_length = _windows(encoded, self.tokenizer, self.context_length)
            for windows in batches(windows_by_length, TOKENS_AT_ONCE, lambda window: len(window[1]), padded=True):
                losses = self._losses(model, [tokens for _, tokens in windows])
                np.add.at(nats, [text for text, _ in windows], losses)
        return nats, np.array([len(tokens) for tokens in encoded], dtype=np.int64)

    @torch.no_grad()
    def _losses(self, model, windows: list[list[int]]) -> list[float]:
        """Summed loss of each window, all of whose tokens but the first are labels."""
        device = next(model.parameters()).device
        length = max(map(len, windows))
        padding = self.tokenizer.end_of_document_id
        ids = torch.tensor([tokens + [padding] * (length - len(tokens)) for tokens in windows], device=device)
        counts = torch.tensor([len(tokens) - 1 for tokens in windows], device=device)
        inputs, labels = ids[:, :-1], ids[:, 1:]
        logits = model.model(input_ids=inputs, input_mask=torch.ones_like(inputs, dtype=torch.bool))
        by_window = logits.float().view(length - 1, len(windows), -1).permute(1, 2, 0)  # [windows, vocabulary, length]
        losses = functional.cross_entropy(by_window, labels, reduction="none").double()
        is_label = torch.arange(length - 1, device=device) < counts[:, None]
        return (losses * is_label).sum(1).tolist()


Window = tuple[int, list[int]]
"""Number of the text, and token ids, of which all but the first are predicted."""


def _windows(encoded: Sequence[list[int]], tokenizer: Tokenizer, length: int) -> list[Window]:
    """Shortest first, so that little is padded."""
    windows = []
    for text, tokens in enumerate(encoded):
        stream = [tokenizer.end_of_document_id, *tokens]
        windows += [(text, stream[start : start + length + 1]) for start in range(0, len(tokens), length)]
    return sorted(windows, key=lambda window: len(window[1]))


def measure_of_models(
    measure: str | None, reference: Path | None, weak: Path | None, tokenizer: Path | None
) -> tuple[str | None, dict[str, CheckpointLosses]]:
    """The measure and its parameters for a reference model, and a weaker one or none.

    Raises:
        UserError: a checkpoint is given that the measure has no use for, or none that it needs.
    """
    if reference is None:
        if weak is not None:
            raise UserError("a weak model goes with a reference, whose loss is subtracted: give both")
        return measure, {}
    named = measure or ("perplexity" if weak is None else "loss_gap")
    if named == "perplexity" and weak is None:
        return named, {"model": CheckpointLosses(reference, tokenizer)}
    if named == "loss_gap" and weak is not None:
        return named, {"weak": CheckpointLosses(weak, tokenizer), "strong": CheckpointLosses(reference, tokenizer)}
    raise UserError(
        f"measure '{named}' cannot use these checkpoints: a reference is for perplexity, a reference with a weak model "
        "for loss_gap"
    )
