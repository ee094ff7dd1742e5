"""Holds an export to the model that it was made from: the logits of both, in fp32 on the CPU.

With CUDA, Nanotron's model runs on the GPU and in the dtype of its weights, since flash-attn knows no fp32.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch

from tokenformer.conversion.formats import Format
from tokenformer.devices import default_device
from tokenformer.errors import UserError
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.checkpoint.written import built_model, one_process
from tokenformer.trainer.growing.offline import TOLERANCES

ROWS, LONGEST = 3, 64


@dataclass(frozen=True)
class Agreement:
    """How far the logits of an export are from those of its source, on rows of random tokens.

    Args:
        dtype: that the source computed in.
    """

    difference: float
    largest: float
    dtype: torch.dtype

    @property
    def is_close(self) -> bool:
        return self.difference <= TOLERANCES[self.dtype] * self.largest

    def __str__(self) -> str:
        return f"max |logit difference| {self.difference:.1e} at largest |logit| {self.largest:.1e}"


def check_transformers() -> None:
    """Raises UserError where an export cannot be verified for want of transformers."""
    if importlib.util.find_spec("transformers") is None:
        raise UserError(
            "verifying an export needs transformers: pip install 'tokenformer[export]', or do not verify it"
        )


def _dtype(stored: StoredCheckpoint) -> torch.dtype:
    return stored.dtype if default_device() == "cuda" else torch.float32


@torch.no_grad()
def trained_logits(stored: StoredCheckpoint, ids: torch.Tensor) -> torch.Tensor:
    """Logits of Nanotron's model for ids [batch, length]: fp32 [batch, length, vocabulary], on the CPU."""
    with one_process() as parallel:
        from tokenformer.trainer.checkpoint.restore import restore  # made of Nanotron, which must be repaired first

        model = built_model(stored.model_config, _dtype(stored), parallel)
        restore(model, None, None, lambda name: ParameterState(stored.weight(name)))
        ids = ids.to(next(model.parameters()).device)
        logits = model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool))
        return logits.transpose(0, 1).float().cpu()


@torch.no_grad()
def verify(stored: StoredCheckpoint, folder: Path, form: Format) -> Agreement:
    """Compares an export with its source.

    Raises:
        UserError: the logits differ by more than rounding makes.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = stored.model_config
    length = min(LONGEST, config.max_position_embeddings)
    ids = torch.randint(config.vocab_size, (ROWS, length), generator=torch.Generator().manual_seed(0))
    ours, theirs = trained_logits(stored, ids), form.load(str(folder))(input_ids=ids).logits
    agreement = Agreement((ours - theirs).abs().max().item(), ours.abs().max().item(), _dtype(stored))
    if not agreement.is_close:
        raise UserError(f"the export of {stored.folder} computes something else: {agreement}; nothing was written")
    return agreement
