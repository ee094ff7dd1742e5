"""Sizes and growth steps by a fitted law: a known law is found again within the intervals, ignorance is admitted."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.experiments.made_records import write_records
from tokenformer.errors import UserError
from tokenformer.experiments.analysis import analysed
from tokenformer.experiments.answer.tables import arms_table
from tokenformer.experiments.grid import Grid
from tokenformer.experiments.prediction.forecast import planned_course, read_forecast, write_forecast
from tokenformer.experiments.prediction.law import Course, fitted
from tokenformer.experiments.prediction.optimise import proposed
from tokenformer.experiments.records import FORMAT, VERSION, record_file, write_record
from tokenformer.experiments.runs import Places, RunList
from tokenformer.model.config import TokenformerConfig

SIZES, TOKENS = (1.0e6, 2.0e6, 4.0e6), (1.5e6, 3.0e6, 6.0e6)


def true_loss(parameters: float, tokens: float) -> float:
    return 2.2 + 18 * parameters**-0.3 + 60 * tokens**-0.28


def record(parameters: float, tokens: float, loss: float, growth: tuple = ()) -> dict:
    steps = round(tokens / 2000)
    costs = {"flops": 6 * parameters * tokens, "seconds": 6 * parameters * tokens / 1e10}
    return {
        "parameters": parameters,
        "tokens": steps * 2000,
        "steps": steps,
        "outcome": loss,
        "growth": list(growth),
        **costs,
    }


def records(noise: float = 0.004) -> list[dict]:
    generator = np.random.default_rng(0)
    return [
        record(size, tokens, true_loss(size, tokens) + generator.normal(0, noise))
        for size in SIZES
        for tokens in TOKENS
    ]


def run_of(tokens: int = 10**8) -> SimpleNamespace:
    model = TokenformerConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        qkv_tokens=128,
        output_tokens=128,
        feed_forward_tokens=512,
        vocab_size=4096,
        max_position_embeddings=128,
    )
    config = SimpleNamespace(
        model_type="tokenformer",
        tokens=SimpleNamespace(sequence_length=128),
        tokens_per_step=2048,
        curriculum=SimpleNamespace(budget=SimpleNamespace(max_epochs=None)),
    )
    corpus = SimpleNamespace(train=SimpleNamespace(tokens=np.array([tokens])))
    return SimpleNamespace(config=config, base_model_config=model, corpus=corpus)


def test_losses_of_other_sizes_and_lengths_are_forecast():
    law = fitted(records())
    for size, tokens in ((1.5e6, 4e6), (3e6, 2e6), (6e6, 9e6)):
        mean, low, high = law.forecast(Course((size,), (tokens,)))
        assert low < true_loss(size, tokens) < high
        assert mean == pytest.approx(true_loss(size, tokens), abs=0.05)
    near = law.forecast(Course((2e6,), (3e6,)))
    far = law.forecast(Course((2e7,), (3e7,)))
    assert far[2] - far[1] > near[2] - near[1]


def test_growth_costs_less_than_the_large_model_and_is_no_better_than_it():
    law = fitted(records())
    grown = law.loss(Course((1e6, 4e6), (1.5e6, 1.5e6)))
    assert np.all(grown >= law.loss(Course((4e6,), (3e6 * 1.5,))) - 1e-9)
    assert law.weight @ grown > law.weight @ law.loss(Course((4e6,), (3e6,))) - 0.05
    # A token before growth that is worth more than one makes growing pay; the records say how much it is worth.
    event = [{"step": 750, "parameters_before": 1e6}]
    rich = fitted([*records(), record(4e6, 3e6, float(law.weight @ grown) - 0.05, event)])
    assert rich.weight @ rich.worth > law.weight @ law.worth


def test_what_is_proposed_fits_the_budget_and_says_how_sure_it_is():
    text = proposed(run_of(), records(), flops=4e13)
    assert "| one size |" in text and "| one growth |" in text and "| two growths |" in text
    assert "No run of the records grew" in text and "extrapolation" not in text
    assert "is an extrapolation" in proposed(run_of(), records(), flops=4e15)
    hours = 4e13 / 1e10 / 3600
    assert proposed(run_of(), records(), hours=hours) == text
    # With less text than the budget could read, the same budget buys a larger model.
    assert proposed(run_of(tokens=2 * 10**6), records(), flops=4e13) != text


def test_forecasts_are_written_before_the_runs_and_shown_beside_them(tiny_grid, tmp_path):
    folder = tmp_path / "known"
    for number, each in enumerate(records()):
        own = {"format": FORMAT, "version": VERSION, "trial": None}
        write_record(record_file(folder, f"run-{number}"), each | own)
    path = tiny_grid()
    runs = RunList(Grid.read(path), Places(tmp_path / "results", tmp_path / "runs"))
    text = write_forecast(runs, folder)
    assert text.count("(") == 2 and set(read_forecast(runs.places)) == {"grown", "large"}
    course = planned_course(runs, "grown", 1)
    assert len(course.parameters) == 3 and sum(course.tokens) == 24 * 128
    made = write_records(path, tmp_path, {})
    found = analysed(made)
    assert "forecast (80 %)" in arms_table(found).markdown()
    with pytest.raises(UserError, match="is finished"):
        write_forecast(made, folder)


def test_what_cannot_be_told_is_refused():
    with pytest.raises(UserError, match="one of the two"):
        proposed(run_of(), records())
    with pytest.raises(UserError, match="two sizes and of two lengths"):
        fitted([record(1e6, 1e6, 4.0), record(1e6, 2e6, 3.9)])
    with pytest.raises(UserError, match="allow more"):
        proposed(run_of(), records(), flops=1e6)
