"""Models as what a scoring plan asks: the log-probabilities of tokens at places of a batch."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from tokenformer.evaluation.prefix_tree import TOKENS_OF_A_PASS, Batch, ScoringPlan
from tokenformer.evaluation.requests import Request

LOGITS_AT_ONCE = 2**23
"""Elements of the logits that are worked on together: 32 MB in fp32, or one row if that is longer."""


class TokenNetwork(Protocol):
    """A causal language model that answers batches.

    `shares_prefixes` says whether it reads trees; `max_length` is how many tokens it reads, None for any number.
    """

    shares_prefixes: bool
    max_length: int | None
    device: torch.device

    def answers(self, batch: Batch, greedy: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Log-probabilities of the asked tokens, float64 [asked], and with `greedy` whether each is the most probable
        one (the first of equals), bool [asked]."""
        ...

    def next_logits(self, tokens: list[int]) -> torch.Tensor:
        """Logits float [vocabulary] of the token after some."""
        ...


def answers_of(
    hidden: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor], targets: np.ndarray, width: int, greedy: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Answers from the last hidden states, of which logits are made a few rows at a time, in fp32.

    Args:
        hidden: [asked, features].
        head: rows of them to rows of logits.
        targets: int64 [asked].
        width: of a row of logits.
    """
    wanted = torch.from_numpy(targets).to(hidden.device)
    step = max(1, LOGITS_AT_ONCE // width)
    values, best = [], []
    for start in range(0, len(targets), step):
        logits = head(hidden[start : start + step]).float()  # [rows, vocabulary]
        target = wanted[start : start + step]
        values.append(-functional.cross_entropy(logits, target, reduction="none"))
        if greedy:
            best.append(logits.argmax(-1) == target)
    log_probabilities = torch.cat(values).double().cpu().numpy()
    return log_probabilities, torch.cat(best).cpu().numpy() if greedy else None


class LogitsFunction:
    """Any function from token ids int64 [batch, length] to logits [batch, length, vocabulary] that is causal: what
    stands after a token does not change its logits, so padding at the end does no harm."""

    shares_prefixes = False

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        device: torch.device | str = "cpu",
        max_length: int | None = None,
    ):
        self.function, self.device, self.max_length = function, torch.device(device), max_length

    @torch.inference_mode()
    def answers(self, batch: Batch, greedy: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """As `TokenNetwork.answers`."""
        logits = self.function(torch.from_numpy(batch.ids).to(self.device))
        return answers_of(logits[batch.rows, batch.nodes], lambda rows: rows, batch.targets, logits.shape[-1], greedy)

    @torch.inference_mode()
    def next_logits(self, tokens: list[int]) -> torch.Tensor:
        """As `TokenNetwork.next_logits`."""
        return self.function(torch.tensor([tokens], device=self.device))[0, -1]


def plan_for(network: TokenNetwork, requests: list[Request], batch_size: int | None) -> ScoringPlan:
    """The batches for a network; `batch_size` None: by the memory that its type of device has."""
    tokens = TOKENS_OF_A_PASS.get(network.device.type, TOKENS_OF_A_PASS["cpu"])
    return ScoringPlan(requests, network.shares_prefixes, batch_size, tokens)


def log_probabilities(
    network: TokenNetwork,
    requests: list[Request],
    batch_size: int | None = None,
    greedy: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[list[float], list[bool] | None]:
    """The summed log-probability, in nats, of what each request scores; and whether greedy decoding would give it.

    Args:
        batch_size: rows of a forward pass; None chooses.
        greedy: whether to find out the second.
        progress: is called with the share of the work that is done.
    """
    plan = plan_for(network, requests, batch_size)
    values, best = np.zeros(plan.size), np.zeros(plan.size, dtype=bool)
    for number, batch in enumerate(plan.batches, start=1):
        values[batch.slots], found = network.answers(batch, greedy)
        if greedy:
            best[batch.slots] = found
        progress(number / len(plan.batches))
    return plan.sums(values), plan.all_true(best) if greedy else None
