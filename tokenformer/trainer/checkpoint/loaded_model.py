"""A stored checkpoint as a model in this process, and the tokenizer that goes with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tokenformer.config.loading import load_config
from tokenformer.data.corpus import TOKENIZER_FOLDER
from tokenformer.data.tokenizer import Tokenizer, load_tokenizer
from tokenformer.devices import choose_device, use_device
from tokenformer.errors import UserError
from tokenformer.run_folder.names import CONFIG
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.checkpoint.written import built_model, one_process

if TYPE_CHECKING:  # otherwise imported after its bootstrap
    from nanotron.models import NanotronModel


@contextmanager
def loaded_model(stored: StoredCheckpoint, dtype: torch.dtype, device: str | None = None) -> Iterator["NanotronModel"]:
    """The model in evaluation mode, and Nanotron's process group as long as it is used.

    Args:
        device: "cpu" or "cuda", for the rest of this process; None is the default one.

    Raises:
        UserError: the device is not there, or Nanotron works on another one in this process.
    """
    use_device(choose_device(device))
    with one_process() as context:
        from tokenformer.trainer.checkpoint.restore import restore  # made of Nanotron, which must be repaired first

        model = built_model(stored.model_config, dtype, context)
        restore(model, None, None, stored.without_moments)
        yield model.eval()


def tokenizer_of(stored: StoredCheckpoint, folder: Path | None) -> Tokenizer:
    """The tokenizer in `folder`, or the one that the checkpoint carries.

    For an older checkpoint, which carries none, it is that of the corpus on which its run trains, RUN/checkpoints/STEP.

    Raises:
        UserError: the tokenizer is not known or not there, or it has more tokens than the model.
    """
    tokenizer = load_tokenizer(folder or stored.tokenizer_folder or tokenizer_of_run(stored.folder))
    size = stored.model_config.vocab_size
    if tokenizer.vocabulary_size > size:
        raise UserError(
            f"the tokenizer {tokenizer.folder} has {tokenizer.vocabulary_size} tokens, and the checkpoint "
            f"{stored.folder} only {size}: give the folder of the one that it was trained with"
        )
    return tokenizer


def tokenizer_of_run(checkpoint: Path) -> Path:
    """Folder of the tokenizer, by the config in the run's folder; raises as `tokenizer_of`."""
    config = checkpoint.resolve().parent.parent / CONFIG
    if not config.is_file():
        raise UserError(
            f"{checkpoint} lies in no run's folder, so its tokenizer is not known; give the tokenizer's folder"
        )
    folder = load_config(config).corpus_folder / TOKENIZER_FOLDER
    if not folder.is_dir():
        raise UserError(f"the tokenizer of {checkpoint} is not at {folder} any more; give the tokenizer's folder")
    return folder
