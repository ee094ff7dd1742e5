"""Tasks scored while a run trains: the same in every layout as in one process, and never the end of a run."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.cases import cases
from tests.support.places import PROGRAMS
from tests.support.training.launching import start_training
from tests.support.training.run_files import metrics
from tokenformer.config.added_sections import Evaluation
from tokenformer.errors import UserError
from tokenformer.evaluation.networks import LogitsFunction, log_probabilities
from tokenformer.trainer.loop.live_evaluation import LiveEvaluation
from tokenformer.trainer.run.prepared_run import PreparedRun

FAILING_RANK = str(PROGRAMS / "failing_rank.py")
LAYOUTS = {
    "dp": ("parallelism.dp=2", "tokens.micro_batch_size=2"),
    "tp": ("parallelism.tp=2", "parallelism.tp_mode=REDUCE_SCATTER"),
    "pp": ("parallelism.pp=2",),
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> tuple[str, ...]:
    """Settings of a run of three steps that scores made pairs after each, and once a tenth of them."""
    folder = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    words = ["bad", "tone", "ten", "not", "bedding", "gate", "at", "on"]
    lines = []
    for _ in range(40):
        good, bad = (" ".join([words[0], *random.choice(words, size=5)]) for _ in range(2))
        lines.append(json.dumps({"good": good, "bad": bad}))
    (folder / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "pairs.yaml").write_text(
        "{task: pairs, description: made, version: 1, data: {file: pairs.jsonl}, pairs: {good: good, bad: bad}}"
    )
    evaluation = f"evaluation={{tasks: [{folder / 'pairs.yaml'}], data: {folder}, every_words: 1, fast: false}}"
    return (
        evaluation,
        "growth=null",
        "tokens.train_steps=3",
        "tokens.val_check_interval=-1",
        "checkpoints.checkpoint_interval=100",
        "model.model_config.num_hidden_layers=3",
    )


def evaluated(run: Path) -> list[dict]:
    return [line for line in metrics(run) if "eval/seconds" in line]


@pytest.fixture(scope="module")
def alone(pairs, command_line, tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("alone")
    assert command_line(*pairs, f"general.runs_folder={folder}") == 0
    return evaluated(folder / "tiny")


def test_it_is_logged_when_words_have_been_read(alone):
    assert [line["iteration_step"] for line in alone] == [1, 2, 3]
    for line in alone:
        assert line["eval/pairs/items"] == 40 and 0 < line["eval/pairs"] < 1
        assert {"eval/pairs/stderr", "eval/pairs/ties", "consumed_words", "training_flops"} <= line.keys()


@pytest.mark.parametrize(
    "settings", [pytest.param(LAYOUTS["dp"], marks=pytest.mark.slow), LAYOUTS["tp"], LAYOUTS["pp"]], ids=LAYOUTS.keys()
)
def test_two_processes_score_as_one(settings, pairs, alone, tiny_config, tmp_path):
    start_training(tiny_config, *pairs, *settings, f"general.runs_folder={tmp_path}", ranks=2).expect_success()
    found = evaluated(tmp_path / "tiny")
    wanted = ["iteration_step", *(key for key in alone[0] if key.startswith("eval/pairs"))]
    assert [[line[key] for key in wanted] for line in found] == [[line[key] for key in wanted] for line in alone]


def test_log_probabilities_are_those_of_the_logits(pairs, live_trainer):
    with live_trainer(*pairs) as trainer:
        evaluation = LiveEvaluation(trainer.run.scoring, None, trainer.parallel_context)
        model = trainer.unwrapped_model
        values = np.zeros(evaluation.plan.size)
        evaluation._answer(model, evaluation._share(model), values)

        def logits(ids):
            return model.model(input_ids=ids, input_mask=ids >= 0).transpose(0, 1)

        expected, _ = log_probabilities(LogitsFunction(logits), evaluation.scoring.requests)
        np.testing.assert_allclose(evaluation.plan.sums(values), expected, rtol=1e-6)


@pytest.mark.parametrize("where", [pytest.param("before", marks=pytest.mark.slow), "within"])
def test_a_failure_of_one_process_ends_the_evaluation_and_not_the_run(where, pairs, tiny_config, tmp_path):
    """The second of two replicas fails, before its passes or in them; the other does not wait for it."""
    settings = (*pairs, *LAYOUTS["dp"], f"general.runs_folder={tmp_path}")
    start_training(tiny_config, *settings, ranks=2, program=(FAILING_RANK, where)).expect_success()
    lines = metrics(tmp_path / "tiny")
    failed = [line for line in lines if "eval/failed" in line]
    assert [line["iteration_step"] for line in failed] == [1, 2, 3]
    assert all("1 of 2 processes" in line["eval/failed"] for line in failed)
    assert [line["iteration_step"] for line in lines if "lm_loss" in line] == [1, 2, 3]


@cases(
    ("{tasks: [blmp], every_words: 5}", "no task 'blmp'"),
    ("{tasks: [blimp]}", "neither at_words nor every_words"),
    ("{tasks: [blimp], every_words: 0}", "evaluation.every_words is 0"),
    ("{tasks: [dalaj], every_words: 5}", "below a data folder"),
)
def test_mistakes_are_named_before_work_starts(tiny_config, monkeypatch, evaluation, message):
    monkeypatch.delenv("TOKENFORMER_EVALUATION_DATA", raising=False)
    with pytest.raises(UserError, match=message):
        _ = PreparedRun.from_file(tiny_config, [f"evaluation={evaluation}"]).scoring


def test_it_is_due_when_a_step_crosses_a_number_of_words():
    evaluation = Evaluation(["t"], at_words=[7], every_words=10)
    due = [(before, before + 3) for before in range(0, 30, 3) if evaluation.is_due(before, before + 3)]
    assert due == [(6, 9), (9, 12), (18, 21), (27, 30)]
