"""The options of `evaluate`; quick to import."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelSource:
    """Which model is opened, and how."""

    model: str
    """A checkpoint, RUN/checkpoints/STEP; an export; or a Hugging Face model's folder or Hub id."""
    tokenizer: str | None = None
    """Folder with a tokenizer.json. Without it: that of the checkpoint, or of the model's folder."""
    dtype: str = "auto"
    """Numbers to compute with: auto (as stored), float32, bfloat16 or float16."""
    device: str | None = None
    """cpu or cuda. Without it: a GPU where there is one."""
    revision: str | None = None
    """Revision of a Hub id."""
    trust_remote_code: bool = False
    """Let Python code that comes with a Hugging Face model run on this machine."""


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of an evaluation."""

    source: ModelSource
    tasks: tuple[str, ...]
    """Tasks of ours or of lm-eval, by name or file. A name after a dash, such as -multiblimp_swe, is left out."""
    data: Path | None = None
    """Folder with the files of our tasks. Without it: $TOKENFORMER_EVALUATION_DATA."""
    fast: bool = False
    """Score a fixed tenth of the items, every kind in its share; of lm-eval's own tasks a fixed random tenth."""
    batch_size: int | None = None
    """Rows of a forward pass, which do not change the scores. Without it: as many as fit."""
    task_folder: Path | None = None
    """Folder of more task files for lm-eval."""


@dataclass(frozen=True)
class GenerateOptions:
    """How texts are continued."""

    source: ModelSource
    prompt: tuple[str, ...] = ()
    """The beginning of a text; several give several texts. Without it: the model begins by itself."""
    new_tokens: int = 100
    """Tokens of a continuation at most; it ends where the model ends the text."""
    temperature: float = 0.8
    """Above 1 is more varied; 0 takes the most probable token each time."""
    top_p: float = 0.95
    """Draw among the likeliest tokens that together have this probability; 1 is all tokens."""
    samples: int = 1
    """Continuations of each prompt."""
    seed: int = 0
    """The same seed gives the same texts."""
