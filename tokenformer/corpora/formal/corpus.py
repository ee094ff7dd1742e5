"""A corpus of a formal language: documents to train on, minimal pairs and questions to test with."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TextIO

from tokenformer.corpora.formal import formal_language
from tokenformer.corpora.formal.language import FormalLanguage
from tokenformer.corpora.formal.pairs import accuracy_item_of, pair_of
from tokenformer.corpora.formal.sampling import Draw, Sample
from tokenformer.corpora.options import FormalCorpusOptions
from tokenformer.errors import UserError
from tokenformer.files import folder_built_beside, refuse_to_replace, write_atomically


def write_formal_corpus(output: Path, options: FormalCorpusOptions) -> None:
    """Write `train/LANGUAGE.jsonl`, `validation/LANGUAGE.jsonl`, `language.json`, and when asked `pairs.jsonl`.

    A row of the first two is a document: `text`, `difficulty` and what else is known of it (`ground_truth`). A row of
    pairs.jsonl is a `MinimalPair`. A language with questions gets `accuracy.jsonl` beside it, a row an `AccuracyItem`.
    language.json holds the parameters, the drawn automaton or grammar, and how many strings there are and were drawn.
    The same options give the same bytes. Memory does not grow with the corpus; the output is whole or absent.

    Raises UserError for options that do not hold, too few strings in the language, and an output that exists.
    """
    language = formal_language(options.language, options.parameters)
    sample = Sample(language, _purposes(options), options.seed)
    refuse_to_replace(output)
    with folder_built_beside(output) as folder:
        _write_rows(folder, sample)
        write_atomically(folder / "language.json", json.dumps(_description(sample, options), indent=2) + "\n")


def _purposes(options: FormalCorpusOptions) -> dict[str, int]:
    if not 0 < options.validation_share < 1:
        raise UserError(f"validation_share is {options.validation_share}: set it between 0 and 1")
    if options.documents == 0 and options.pairs > 0:
        return {"train": 0, "validation": 0, "pairs": options.pairs}
    validation = round(options.documents * options.validation_share)
    if not 0 < validation < options.documents:
        raise UserError(
            f"of {options.documents} documents, {validation} are held out by validation_share "
            f"{options.validation_share}: ask for more documents, or change the share, so that both parts have some"
        )
    return {"train": options.documents - validation, "validation": validation, "pairs": options.pairs}


def _write_rows(folder: Path, sample: Sample) -> None:
    language, seed = sample.language, sample.seed
    has_questions = any(language.choices(draw.text) for draw in islice(sample, 1))
    wanted = {
        "train": f"train/{language.name}.jsonl",
        "validation": f"validation/{language.name}.jsonl",
        "pairs": "pairs.jsonl",
    }
    with ExitStack() as stack:
        streams = {
            purpose: stack.enter_context(_stream(folder / wanted[purpose]))
            for purpose, amount in sample.purposes.items()
            if amount
        }
        questions = (
            stack.enter_context(_stream(folder / "accuracy.jsonl")) if "pairs" in streams and has_questions else None
        )
        number = 0
        for draw in sample:
            if draw.purpose != "pairs":
                _write(streams[draw.purpose], _document(language, draw))
                continue
            _write(streams["pairs"], pair_of(language, draw, number, seed).as_dict())
            item = accuracy_item_of(language, draw, number, seed) if questions else None
            if questions and item:
                _write(questions, asdict(item))
            number += 1


def _stream(path: Path) -> TextIO:
    path.parent.mkdir(exist_ok=True)
    return path.open("w", encoding="utf-8", newline="\n")


def _write(stream: TextIO, row: dict) -> None:
    stream.write(json.dumps(row) + "\n")


def _document(language: FormalLanguage, draw: Draw) -> dict:
    return {"text": draw.text, **language.ground_truth(draw.text)}


def _description(sample: Sample, options: FormalCorpusOptions) -> dict:
    strata = zip(sample.strata, sample.drawn, strict=True)
    return {
        **sample.language.description(),
        "distribution": "evenly over difficulties, within one over sizes, within one over strings; without repeats",
        "seed": options.seed,
        "strings": sample.purposes,
        "strata": [{**asdict(stratum), "drawn": drawn} for stratum, drawn in strata],
    }
