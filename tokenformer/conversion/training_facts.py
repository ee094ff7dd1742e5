"""The facts of training that a checkpoint, its run and its corpus tell; each of the three may be gone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenformer.data.corpus import PreparedCorpus
from tokenformer.errors import UserError
from tokenformer.run_folder import keys
from tokenformer.run_folder.names import CHECKPOINTS, CURRICULUM
from tokenformer.run_folder.record import HeldOut, RunRecord
from tokenformer.trainer.checkpoint.records import read_curriculum
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint


@dataclass(frozen=True)
class TrainingFacts:
    """Everything that is known about how a checkpoint was trained; None is not known.

    Args:
        words: whitespace words read, repeats counted.
        tokens, training_flops, loss: after the checkpoint's step; the loss is the training batch's, nats a token.
        held_out: the last held-out loss up to that step, which was measured after `held_out_step`.
        is_corpus_changed: whether the run's corpus was prepared again since; what it is now is not told then.
    """

    stored: StoredCheckpoint
    run: RunRecord | None
    corpus: PreparedCorpus | None
    words: float | None
    tokens: int | None
    training_flops: float | None
    loss: float | None
    held_out: HeldOut | None
    held_out_step: int | None
    is_corpus_changed: bool = False

    @classmethod
    def of(cls, stored: StoredCheckpoint, run: RunRecord | None = None) -> "TrainingFacts":
        """`run` is that of the checkpoint; without one it is that in whose folder the checkpoint lies, if any."""
        run = run or _run_of(stored.folder)
        line, validation = _lines(run, stored.step)
        corpus, is_changed = _corpus_of(run), False
        if corpus is not None and (stored.folder / CURRICULUM).exists():
            is_changed = read_curriculum(stored.folder).corpus not in (None, corpus.fingerprint)
        return cls(
            stored=stored,
            run=run,
            corpus=None if is_changed else corpus,
            words=words_seen(stored.folder, run),
            tokens=line.get(keys.TOKENS),
            training_flops=line.get(keys.FLOPS),
            loss=line.get(keys.LOSS),
            held_out=HeldOut.from_line(validation) if validation else None,
            held_out_step=validation[keys.STEP] if validation else None,
            is_corpus_changed=is_changed,
        )

    @property
    def seed(self) -> int | None:
        return self.run.config["general"].get("seed") if self.run else None

    def tokenizer(self) -> Path:
        """Folder of the tokenizer that the model was trained with.

        Raises:
            UserError: the checkpoint carries none and lies in no run's folder, or the corpus is not where its config
                says.
        """
        if self.stored.tokenizer_folder is not None:
            return self.stored.tokenizer_folder
        if self.corpus is not None:
            return self.corpus.tokenizer_folder
        where = f"its run's corpus {corpus_folder(self.run)} is not here" if self.run else "it lies in no run's folder"
        raise UserError(
            f"which tokenizer {self.stored.folder} was trained with is not known, since {where}: give its folder as "
            f"the option tokenizer"
        )


def _run_of(checkpoint: Path) -> RunRecord | None:
    """The run that wrote RUN/checkpoints/STEP."""
    folder = checkpoint.resolve().parent
    if folder.name != CHECKPOINTS:
        return None
    try:
        return RunRecord.open(folder.parent)
    except UserError:
        return None


def corpus_folder(run: RunRecord) -> Path:
    """Where the run's resolved config says that its corpus is."""
    return Path(run.config["data_stages"][0]["data"]["dataset"]["dataset_folder"])


def checkpoints_folder(run: RunRecord) -> Path:
    """Where the run's resolved config says that its checkpoints are: RUN/checkpoints, or another path."""
    path = run.config["checkpoints"]["checkpoints_path"]
    return run.folder / CHECKPOINTS if path is None else Path(path)


def _corpus_of(run: RunRecord | None) -> PreparedCorpus | None:
    if run is None or not corpus_folder(run).is_dir():
        return None
    return PreparedCorpus.open(corpus_folder(run))


def _lines(run: RunRecord | None, step: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The line of a step, and the last one up to it that has a held-out loss."""
    if run is None:
        return {}, None
    of_step = [line for line in run.steps if line[keys.STEP] == step]
    validations = [line for line in run.validations if line[keys.STEP] <= step]
    return (of_step[-1] if of_step else {}), (validations[-1] if validations else None)


def words_seen(checkpoint: Path, run: RunRecord | None) -> float | None:
    """Words read until a checkpoint, by its own record or, if that is an older one, by the run's metrics."""
    recorded = read_curriculum(checkpoint).words if (checkpoint / CURRICULUM).exists() else None
    if recorded is not None or run is None:
        return recorded
    by_step = {line[keys.STEP]: line.get(keys.WORDS) for line in run.steps}
    return by_step.get(int(checkpoint.name)) if checkpoint.name.isdigit() else None
