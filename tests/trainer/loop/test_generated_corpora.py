"""Training on what `tokenformer corpus` makes: formal languages and code."""

import math

import pytest
import yaml

from tests.support.training.launching import run_python, train_arguments
from tests.support.training.run_files import event_steps, held_out_steps, step_lines
from tests.support.training.tiny_run import RUN, VOCABULARY, tiny_content
from tokenformer.corpora import write_corpus
from tokenformer.corpora.code.source_tree import standard_library
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource

CORPORA = {
    "formal": {"language": "dyck", "documents": 600, "validation_share": 0.1, "parameters": {"longest": 24}},
    "code": {"source": standard_library() / "json", "unit": "definition", "validation_share": 0.3},
}


@pytest.mark.parametrize("name", CORPORA)
def test_a_run_trains_and_grows_by_the_depth_of_nesting(name, tmp_path):
    write_corpus(name, tmp_path / "corpus", **CORPORA[name])
    train, validation = ([InputSource(tmp_path / "corpus" / split)] for split in ("train", "validation"))
    options = PrepareOptions(
        inputs=train,
        validation_inputs=validation,
        output=tmp_path / "prepared",
        language=name,
        vocabulary_size=VOCABULARY,
    )
    prepare_corpus(options)
    content = tiny_content(tmp_path / "prepared", tmp_path / "runs")
    content["checkpoints"]["checkpoint_interval"] = 16
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    result = run_python(["-m", "tokenformer", *train_arguments(config, ())])
    assert result.returncode == 0, result.stderr[-3000:]
    run = tmp_path / "runs" / RUN
    losses = [line["lm_loss"] for line in step_lines(run)]
    assert len(losses) == 16 and all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    assert held_out_steps(run) and event_steps(run)
