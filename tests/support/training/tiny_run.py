"""The corpus and the config of the run that these tests train: some 40,000 parameters, 16 steps, two growth events."""

from pathlib import Path

import numpy as np

from tests.support.model_sizes import tokenformer_sizes

VOCABULARY = 384
RUN = "tiny"
TWO_REPLICAS = ("parallelism.dp=2", "tokens.micro_batch_size=2")

TINY_MODEL = tokenformer_sizes(32, 2, 2, tokens=(16, 16, 32), vocabulary=VOCABULARY, positions=32)
TINY_MODEL["is_tokenformer_config"] = True
BF16 = ("model.dtype=bfloat16", "optimizer.accumulate_grad_in_fp32=true")
MODES = {"fp32": (), "ZeRO-1": ("optimizer.zero_stage=1",), "bf16": BF16}

CONSTANT_UNTIL_THE_END = {
    "learning_rate": 2.0e-3,
    "lr_warmup_steps": 3,
    "lr_decay_starting_step": 13,
    "lr_decay_steps": 3,
    "min_decay_lr": 0.0,
}


def tiny_content(corpus_folder: Path, runs_folder: Path) -> dict:
    """A run of 16 steps that grows twice by rising complexity, with a checkpoint of every step."""
    return {
        "general": {"run": RUN, "seed": 7, "runs_folder": str(runs_folder)},
        "model": {"model_config": TINY_MODEL},
        "checkpoints": {"checkpoint_interval": 1},
        "logging": {"log_level": "error", "log_level_replica": "error"},
        "tokens": {"sequence_length": 32, "micro_batch_size": 4, "train_steps": 16, "val_check_interval": 4},
        "optimizer": {"learning_rate_scheduler": CONSTANT_UNTIL_THE_END},
        "data_stages": [{"name": "levels", "data": {"dataset": {"dataset_folder": str(corpus_folder)}, "seed": 3}}],
        "curriculum": {"ordering": {"name": "easy_to_hard"}, "smoothing": 0.5},
        "growth": {
            "trigger": {"name": "complexity", "percentiles": [30, 60]},
            "operators": {"tokenformer": {"name": "append_tokens", "factor": 2}},
            "tolerance": 1.0e-5,
        },
        "validation": {"batch_size": 16},
    }


def _words(random: np.random.Generator, letters: str, lengths: tuple[int, int], count: int) -> list[str]:
    return ["".join(random.choice(list(letters), size=random.integers(*lengths))) for _ in range(count)]


def write_texts(folder: Path, seed: int, documents: int = 120) -> None:
    """Three sources, a document a line: from few short words to many long ones."""
    random = np.random.default_rng(seed)
    levels = {
        "easy": _words(random, "abdeginot", (2, 4), 20),
        "middle": _words(random, "abcdefghilmnoprstu", (3, 6), 80),
        "hard": _words(random, "abcdefghijklmnopqrstuvwxyz", (5, 9), 300),
    }
    folder.mkdir(parents=True)
    for name, words in levels.items():
        lines = [" ".join(random.choice(words, size=random.integers(3, 7))) for _ in range(documents)]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(folder: Path, seed: int) -> Path:
    from tokenformer.data.prepare import PrepareOptions, prepare_corpus
    from tokenformer.data.reading import InputSource

    write_texts(folder / "texts", seed)
    options = PrepareOptions(
        inputs=[InputSource(folder / "texts")],
        output=folder / "prepared",
        unit="line",
        vocabulary_size=VOCABULARY,
        validation_share=0.15,
        language="fi",  # no language that surprisal knows: it learns from this text alone
        measure="surprisal",
    )
    prepare_corpus(options)
    return folder / "prepared"
