"""Measures that a language model makes: how badly it predicts a text, and how much worse than a better model it does.

The models are no part of the curriculum: whoever asks for these measures hands them in. Checkpoints of our own runs
come as `tokenformer.trainer.checkpoint.checkpoint_losses.CheckpointLosses(PATH)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokenformer.complexity.measure import ARTIFICIAL, NATURAL, Measure
from tokenformer.complexity.text.documents import Documents
from tokenformer.complexity.text.words import paragraphs
from tokenformer.errors import UserError

TextLosses = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]
"""n texts -> nats float64[n] that all tokens of a text cost together, and the number of its tokens int64[n].

Each text is read from its beginning and by itself. It can be sent to another process.
"""


@dataclass(frozen=True)
class PerplexityParameters:
    """The keys that the user has to set.

    Attributes:
        model: the reference model.
    """

    model: TextLosses | None = None

    def __post_init__(self):
        if self.model is None:
            raise UserError("measure 'perplexity' needs a reference model: give the option reference (model=...)")


@dataclass(frozen=True)
class LossGapParameters:
    """The keys that the user has to set.

    Attributes:
        weak: a small model, or an early checkpoint.
        strong: a larger or a later one.
    """

    weak: TextLosses | None = None
    strong: TextLosses | None = None

    def __post_init__(self):
        if self.weak is None or self.strong is None:
            raise UserError(
                "measure 'loss_gap' needs two models: give checkpoints as the options weak and reference "
                "(weak=..., strong=...)"
            )


def document_losses(model: TextLosses, documents: Documents) -> tuple[np.ndarray, np.ndarray]:
    """Nats float64[n] and tokens int64[n] of n documents, whose paragraphs are read one by one.

    So a text that is followed by its copy after a blank line costs exactly twice as much.
    """
    parts = [[part for part in paragraphs(text) if part.strip()] for text in documents.texts]
    document = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    nats, tokens = model([part for all_parts in parts for part in all_parts])
    nats, tokens = (np.bincount(document, values, len(parts)) for values in (nats, tokens))
    return nats, tokens.astype(np.int64)


@dataclass(frozen=True)
class Perplexity:
    """Mean loss a token under the model, float64[n]: the logarithm of the perplexity. 0 for a blank text.

    Doubling a text does not change it (rounding of the model aside).
    """

    model: TextLosses

    def __call__(self, documents: Documents) -> np.ndarray:
        nats, tokens = document_losses(self.model, documents)
        return nats / np.maximum(tokens, 1)


@dataclass(frozen=True)
class LossGap:
    """Loss under the weak model minus loss under the strong one, by tokens of the strong one, float64[n].

    High where there is something to be learned that the weak model has not: noise is hard for both, and has no gap.
    0 for a blank text. Doubling a text does not change it (rounding of the models aside).
    """

    weak: TextLosses
    strong: TextLosses

    def __call__(self, documents: Documents) -> np.ndarray:
        weak, _ = document_losses(self.weak, documents)
        strong, tokens = document_losses(self.strong, documents)
        return (weak - strong) / np.maximum(tokens, 1)


PERPLEXITY = Measure(
    name="perplexity",
    languages=(NATURAL, *ARTIFICIAL),
    unit="nats per token",
    source="perplexity under a reference model: Marion et al. 2023, arXiv 2309.04564",
    cost="one forward pass of the model",
    learn=lambda texts, language, parameters: Perplexity(parameters.model),
    parameters=PerplexityParameters,
    needs_model=True,
)

LOSS_GAP = Measure(
    name="loss_gap",
    languages=(NATURAL, *ARTIFICIAL),
    unit="nats per token",
    source="loss of a model minus that of a reference model: Mindermann et al. 2022, arXiv 2206.07137",
    cost="one forward pass of each model",
    learn=lambda texts, language, parameters: LossGap(parameters.weak, parameters.strong),
    parameters=LossGapParameters,
    needs_model=True,
)
