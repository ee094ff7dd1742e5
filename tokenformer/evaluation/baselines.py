"""N-gram baselines of a run: fitted on its training text, measured on the held-out text that the run is measured on."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tokenformer.config.loading import load_config
from tokenformer.config.stored_records import read_json, read_record
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.errors import UserError
from tokenformer.evaluation.held_out import HeldOutLevel, held_out_levels, summarise
from tokenformer.evaluation.ngram_baseline import BASELINE_ORDERS, KneserNeyModel
from tokenformer.files import write_atomically
from tokenformer.run_folder.names import BASELINES, CONFIG, READING
from tokenformer.run_folder.reading import Reading


def training_stream(corpus: PreparedCorpus) -> np.ndarray:
    """Every training document once, each with its end-of-document token: int64 [tokens]."""
    shards = corpus.train.shards
    return np.concatenate([np.asarray(shards.document_tokens(i), dtype=np.int64) for i in range(len(corpus.train))])


def measure_baselines(corpus: PreparedCorpus, levels: list[HeldOutLevel]) -> dict[str, dict[str, float]]:
    """`val/loss` and `val/bits_per_byte`, overall and by level, of each n-gram model."""
    stream = training_stream(corpus)
    results = {}
    for name, order in BASELINE_ORDERS.items():
        model = KneserNeyModel.fit(stream, corpus.vocabulary_size, order, end_of_document=corpus.end_of_document_id)
        nats = {level.name: -float(model.log_probabilities(level.stream[1:]).sum()) for level in levels}
        results[name] = summarise(nats, levels)
    return results


def ensure_baselines(run_folder: Path) -> str | None:
    """Writes `baselines.json` into a run's folder unless it is there for the same corpus and levels.

    Returns:
        Why nothing was measured, where the corpus is not any more what the run read.

    Raises:
        UserError: the folder is no run, or its corpus is gone.
    """
    if not (run_folder / CONFIG).exists():
        raise UserError(f"{run_folder} is no run's folder: it has no {CONFIG}; give the folder under runs/")
    config = load_config(run_folder / CONFIG)
    corpus = PreparedCorpus.open(config.corpus_folder)
    read = _corpus_of_run(run_folder / READING)
    if read not in (None, corpus.fingerprint):
        return f"the corpus {config.corpus_folder} was prepared again after this run read it: no baselines are measured"
    key = {"corpus": corpus.fingerprint, "levels": config.validation.levels}
    path = run_folder / BASELINES
    if _measured_on(path) == key:
        return None
    results = measure_baselines(corpus, held_out_levels(corpus, config.validation.levels))
    write_atomically(path, json.dumps({"measured_on": key, **results}, indent=2) + "\n")
    return None


def _corpus_of_run(reading: Path) -> str | None:
    """Fingerprint of the corpus that a run read; None for a run of an older version."""
    return read_record(reading, Reading).corpus if reading.is_file() else None


def _measured_on(path: Path) -> Any:
    """Corpus and levels of the baselines that are there; None for none, or for a file that has to be made again."""
    try:
        content = read_json(path)
    except UserError:
        return None
    return content.get("measured_on") if isinstance(content, dict) else None
