"""Reads a checkpoint that was written under any layout as whole tensors, in one process, without a process group."""

import pickle
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tokenformer.checksums import damage
from tokenformer.config.sections import marked_model_type
from tokenformer.config.stored_records import read_json
from tokenformer.errors import UserError
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.model.flops import model_size
from tokenformer.run_folder.names import CHECKPOINTS, GROWTH, LATEST, METADATA, MODEL_CONFIG, TOKENIZER
from tokenformer.trainer.bridge.model_config import model_config_from
from tokenformer.trainer.checkpoint.records import GrowthRecord, read_growth, stored_steps
from tokenformer.trainer.checkpoint.stored_optimizer import StoredOptimizer
from tokenformer.trainer.checkpoint.stored_weights import StoredWeights

SCHEDULE = Path("lr_scheduler") / "lr_scheduler.pt"
MOMENTS = ("exp_avg", "exp_avg_sq")


class StoredCheckpoint(Mapping[str, ParameterState]):
    """A checkpoint of dp, tp, pp and ZeRO-0 or 1, of either model type, grown or not; ours or Nanotron's own.

    It maps the name of each parameter, which is the same in every layout and for tied ones the embedding's, to what
    is stored of it: whole tensors on the CPU, in the dtypes in which they were written. Each is read when it is asked
    for and not kept, so a caller that goes through them needs the memory of the largest one.

    Args:
        folder: of the checkpoint: RUN/checkpoints/STEP, or what `tokenformer import` wrote.

    Raises, when made:
        UserError: the folder is no checkpoint; a file is not as its checksum says, missing, damaged, or of another
            layout than its fellows; the files do not make the model of `model_config.json`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        _refuse_damage(folder)
        self.model_settings = self._model_settings()
        self.weights = StoredWeights(folder / "model")
        optimizer = folder / "optimizer"
        self.optimizer = StoredOptimizer(optimizer) if optimizer.is_dir() else None
        self._check_whole()

    def __getitem__(self, name: str) -> ParameterState:
        """Everything about a parameter."""
        state = self.without_moments(name)
        optimizer = self.optimizer
        if optimizer is not None and self.has_moments:
            state.moments = {key: self.weights.joined(name, optimizer.moments(name, key)) for key in MOMENTS}
            state.step = optimizer.step(name)
        return state

    def __contains__(self, name: object) -> bool:
        return name in self.weights.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights.names)

    def __len__(self) -> int:
        return len(self.weights.names)

    def weight(self, name: str) -> torch.Tensor:
        """A parameter.

        Raises:
            UserError: the checkpoint holds none of that name.
        """
        if name not in self:
            raise UserError(f"the checkpoint {self.folder} holds no parameter {name}")
        return self.weights.whole(name)

    def master(self, name: str) -> torch.Tensor | None:
        """The fp32 copy of a 16-bit parameter, if the run kept one."""
        if self.optimizer is None or not self.optimizer.has_masters:
            return None
        return self.weights.joined(name, self.optimizer.masters(name))

    def without_moments(self, name: str) -> ParameterState:
        """Weight and fp32 copy of a parameter, as for a run that begins with them."""
        return ParameterState(self.weight(name), self.master(name))

    @cached_property
    def has_moments(self) -> bool:
        """Tells whether there are Adam's moments: not if it was imported, or written before the first step."""
        return self.optimizer is not None and bool(self.optimizer.names)

    @cached_property
    def model_config(self) -> Any:
        """The config of the model as it is now, grown or not: a `TokenformerConfig` or Nanotron's `LlamaConfig`."""
        name = str(self.folder / MODEL_CONFIG)
        try:
            model_type = marked_model_type(self.model_settings)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        return model_config_from(self.model_settings, model_type, name)

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.weight(next(iter(self))).dtype

    @cached_property
    def growth(self) -> GrowthRecord | None:
        """How the model grew; None for a checkpoint that is Nanotron's own."""
        return read_growth(self.folder) if (self.folder / GROWTH).exists() else None

    @property
    def tokenizer_folder(self) -> Path | None:
        """The tokenizer that it carries; None for one of an older version, or of a model without a known tokenizer."""
        folder = self.folder / TOKENIZER
        return folder if folder.is_dir() else None

    @property
    def step(self) -> int:
        """Training steps done."""
        return self._progress["last_train_step"]

    @property
    def samples(self) -> int:
        """Samples read."""
        return self._progress["consumed_train_samples"]

    @cached_property
    def _progress(self) -> dict[str, int]:
        path = self.folder / METADATA
        content = read_json(path, "restore the file, which tells how far training was")
        try:
            return {key: int(content["metas"][key]) for key in ("last_train_step", "consumed_train_samples")}
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise UserError(f"{path} does not tell how far training was: {error}") from error

    def schedule(self) -> dict[str, Any]:
        """State of the learning rate's schedule."""
        path = self.folder / SCHEDULE
        try:
            return torch.load(path, weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise UserError(f"{path}, the learning rate's schedule, is missing or damaged") from error

    def _model_settings(self) -> dict[str, Any]:
        path = self.folder / MODEL_CONFIG
        if not path.exists():
            raise UserError(f"{self.folder} is no checkpoint: it has no {MODEL_CONFIG}{_hint(self.folder)}")
        content = read_json(path, "it cannot be read, so restore it")
        if not isinstance(content, dict):
            raise UserError(f"{path} holds no model_config")
        return content

    def _check_whole(self) -> None:
        expected = model_size(self.model_config).parameters
        if self.weights.elements != expected:
            forgotten = self.optimizer.names - self.weights.names if self.optimizer else set()
            known = f", among them {', '.join(sorted(forgotten))}" if forgotten else ""
            raise UserError(
                f"{self.folder / 'model'} holds {self.weights.elements:,} parameters and {MODEL_CONFIG} says "
                f"{expected:,}: files are missing or do not belong to it{known}"
            )


def _refuse_damage(folder: Path) -> None:
    """Raises UserError for a damaged file; names the newest whole checkpoint of the same run before this one."""
    if not (folder / MODEL_CONFIG).exists() or (found := damage(folder)) is None:
        return
    earlier = [step for step in stored_steps(folder.parent) if folder.name.isdecimal() and step < int(folder.name)]
    whole = next((step for step in reversed(earlier) if damage(folder.parent / str(step)) is None), None)
    if whole is None:
        raise UserError(f"{found}. No checkpoint beside it is older and whole: restore the file")
    raise UserError(
        f"{found}. The newest whole checkpoint before it is {folder.parent / str(whole)}: `tokenformer train` goes on "
        f"from there with --from-step {whole}"
    )


def _hint(folder: Path) -> str:
    """Which checkpoint the user may have meant."""
    for checkpoints in (folder, folder / CHECKPOINTS):
        try:
            return f"; give one of its steps, such as {checkpoints / (checkpoints / LATEST).read_text().strip()}"
        except OSError:
            continue
    return "; give RUN/checkpoints/STEP, or what `tokenformer import` wrote"
