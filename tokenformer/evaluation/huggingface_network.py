"""A causal language model of transformers, which reads trees of shared prefixes where it can."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tokenformer.evaluation.networks import LogitsFunction, answers_of
from tokenformer.evaluation.prefix_tree import Batch, ScoringPlan
from tokenformer.evaluation.requests import Request

LARGEST_DIFFERENCE = 2e-5
"""Tolerance of log-probabilities by both ways, in nats, relative above 1: fp32 rounding is an order below."""

LENGTH_SETTINGS = ("n_positions", "max_position_embeddings", "n_ctx")


class HuggingFaceNetwork:
    """Reads trees in one pass, by a mask and positions, and makes logits only where they are asked for.

    Not every architecture heeds a mask of four dimensions and given positions, and some do more than a matrix product
    after the last hidden state. So the first thing done is to score a few texts both ways. `shares_prefixes` is false,
    and `reason` says why, if the results differ or the model does not take the arguments. A model of 16 bits is read
    text by text, as lm-eval reads it, since a difference could hide in its rounding.

    Args:
        model: a `PreTrainedModel` with a language-modelling head, in evaluation mode.
    """

    def __init__(self, model: Any):
        self.model, self.device = model, model.device
        self.max_length = context_length(model.config)
        self.whole = LogitsFunction(self._logits, model.device, self.max_length)
        self.reason = self._why_not()
        self.shares_prefixes = self.reason is None

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, use_cache=False).logits

    def answers(self, batch: Batch, greedy: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """As `TokenNetwork.answers`."""
        return self._tree_answers(batch, greedy) if self.shares_prefixes else self.whole.answers(batch, greedy)

    def next_logits(self, tokens: list[int]) -> torch.Tensor:
        """As `TokenNetwork.next_logits`."""
        return self.whole.next_logits(tokens)

    @torch.inference_mode()
    def _tree_answers(self, batch: Batch, greedy: bool) -> tuple[np.ndarray, np.ndarray | None]:
        dtype, head = self.model.dtype, self.model.get_output_embeddings()
        seen = torch.from_numpy(batch.ancestors()).to(self.device)
        mask = torch.zeros(seen.shape, dtype=dtype, device=self.device).masked_fill_(~seen, torch.finfo(dtype).min)
        hidden = self.model.base_model(
            input_ids=torch.from_numpy(batch.ids).to(self.device),
            position_ids=torch.from_numpy(batch.depths).to(self.device),
            attention_mask=mask[:, None],  # [rows, 1, length, length]
            use_cache=False,
        ).last_hidden_state
        return answers_of(hidden[batch.rows, batch.nodes], head, batch.targets, head.weight.shape[0], greedy)

    def _why_not(self) -> str | None:
        """Why trees cannot be read, None if they can."""
        if self.model.dtype != torch.float32:
            return f"the model is in {str(self.model.dtype).removeprefix('torch.')}"
        if getattr(self.model.config, "sliding_window", None):
            return "the model attends within a sliding window"
        if getattr(self.model.config, "document_mask", False):
            return "the model tells documents by the order of tokens"
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        requests = _trial(vocabulary, min(24, self.max_length or 24))
        try:
            trees = _values(requests, self._tree_answers, share_prefixes=True)
        except Exception as error:  # whatever the code of any architecture raises
            return f"the model refuses a mask and positions of its own: {type(error).__name__}: {error}"
        wholes = _values(requests, self.whole.answers, share_prefixes=False)
        difference = np.max(np.abs(trees - wholes) / np.maximum(1.0, np.abs(wholes)))
        return None if difference <= LARGEST_DIFFERENCE else "the model does not heed a mask and positions of its own"


def context_length(config: Any) -> int | None:
    """Tokens that a model reads, by its config; None where it names no limit."""
    config = getattr(config, "text_config", None) or config
    return next((getattr(config, name) for name in LENGTH_SETTINGS if getattr(config, name, None) is not None), None)


def _trial(vocabulary: int, length: int) -> list[Request]:
    """Texts of random tokens of which some begin alike."""
    random = np.random.default_rng(0)
    stem = random.integers(vocabulary, size=length).tolist()
    texts = [stem]
    for shared in (length // 4, length // 2, length // 2, length - 2):
        rest = random.integers(vocabulary, size=max(1, (length - shared) // 2 + 1)).tolist()
        texts.append(stem[: max(1, shared)] + rest)
    return [Request(tuple(text), len(text) - 1) for text in texts]


def _values(requests: list[Request], answers: Callable, share_prefixes: bool) -> np.ndarray:
    plan = ScoringPlan(requests, share_prefixes)
    values = np.zeros(plan.size)
    for batch in plan.batches:
        values[batch.slots], _ = answers(batch, False)
    return np.array(plan.sums(values))
