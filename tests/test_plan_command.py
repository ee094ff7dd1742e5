"""From text to a plan by the command line: the table says what the run will do."""

import re

import numpy as np
import pytest

from tests.support.cases import cases, refused
from tokenformer import cli
from tokenformer.curriculum import ORDERINGS
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.errors import UserError
from tokenformer.model.flops import tokenformer_size
from tokenformer.trainer.run import plan_table
from tokenformer.trainer.run.prepared_run import PreparedRun

STEPS, SAMPLES, LENGTH = 60, 4, 16
SIZES = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"num_key_value_heads": 2, "qkv_tokens": 8, "output_tokens": 8, "feed_forward_tokens": 16}
TINY = {
    "tokens.train_steps": STEPS,
    "tokens.micro_batch_size": SAMPLES,
    "tokens.sequence_length": LENGTH,
    "optimizer.learning_rate_scheduler.lr_warmup_steps": 3,
    "optimizer.learning_rate_scheduler.lr_decay_starting_step": 55,
    "optimizer.learning_rate_scheduler.lr_decay_steps": 5,
    "growth.earliest_step": 5,
    "growth.minimum_steps_between": 5,
    "growth.trigger.percentiles": [35, 50],
    "curriculum.smoothing": 0.5,
    **{f"model.model_config.{key}": value for key, value in SIZES.items()},
}
COLUMNS = ["stage", "from step", "words", "tokens", "complexity", "parameters", "FLOPs", "time", "why"]
EASY = ["a", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "ran", "to", "it"]
HARD = ["notwithstanding", "considerable", "philosophical", "ramifications", "thereof", "circumvented"]


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    """A corpus by `tokenformer prepare`: sentences of more and more long words."""
    folder, random = tmp_path_factory.mktemp("plan"), np.random.default_rng(0)
    lines = []
    for number in range(400):
        hard = random.random(random.integers(5, 15)) < number / 400
        lines.append(" ".join(random.choice(HARD if is_hard else EASY) for is_hard in hard))
    (folder / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    arguments = ["prepare", str(folder / "text.txt"), "--output", str(folder / "prepared"), "--unit", "line"]
    arguments += ["--language", "en"]
    assert cli.main([*arguments, "--measure", "lix", "--vocabulary-size", "300", "--validation-share", "0.1"]) == 0
    return folder / "prepared"


@pytest.fixture
def assignments(corpus_folder):
    """`assignments(**changes)` are what makes the shipped config tiny, changed further."""

    def make(changes: dict | None = None) -> list[str]:
        settings = {"data_stages.0.data.dataset.dataset_folder": corpus_folder, **TINY, **(changes or {})}
        return [f"{key}={value}" for key, value in settings.items()]

    return make


@pytest.fixture
def plan(repository, assignments, monkeypatch, capsys, tmp_path):
    """`plan(changes, name)` is what `tokenformer plan` prints; a FLOP takes a nanosecond."""
    monkeypatch.setattr(plan_table, "measured_flops_per_second", lambda *shape: 1e9 / plan_table.MATRIX_SHARE)
    monkeypatch.chdir(tmp_path)

    def printed(changes: dict | None = None, name: str = "tokenformer") -> str:
        arguments = [part for assignment in assignments(changes) for part in ("--set", assignment)]
        assert cli.main(["plan", str(repository / "configs" / f"{name}.yaml"), *arguments]) == 0
        assert list(tmp_path.iterdir()) == []
        return capsys.readouterr().out

    return printed


@pytest.fixture
def run_of(repository, assignments):
    return lambda changes=None: PreparedRun.from_file(repository / "configs" / "tokenformer.yaml", assignments(changes))


def rows_of(printed: str) -> list[dict[str, str]]:
    """The rows of the table by heading; a cell that goes on in the next line is joined."""
    lines = [re.split("[│┃]", line)[1:-1] for line in printed.splitlines() if line.startswith(("│", "┃"))]
    assert [cell.strip() for cell in lines[0]] == COLUMNS
    rows = []
    for cells in lines[1:]:
        cells = [cell.strip() for cell in cells]
        if cells[0]:
            rows.append(dict(zip(COLUMNS, cells, strict=True)))
        else:
            rows[-1] = {key: f"{rows[-1][key]} {cell}".strip() for key, cell in zip(COLUMNS, cells, strict=True)}
    return rows


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_title_says_what_is_trained_and_on_which_data(plan):
    title = " ".join(plan({"data_stages.0.name": "my-text"}).split("┏")[0].split())
    assert re.search(r"tokenformer\.yaml: tokenformer, [\d,]+ steps on my-text$", title)


def test_prepare_prints_its_report(corpus_folder):
    report = (corpus_folder / "report.txt").read_text(encoding="utf-8")
    assert "Complexity: lix" in report
    assert "made by: tokenformer prepare " in report


def test_the_table_shows_the_stages_that_will_be_trained(plan, run_of):
    run, rows = run_of(), rows_of(plan())
    stages = run.stages()
    assert len(stages) == 3 and [row["stage"] for row in rows] == ["1", "2", "3", "end"]
    for stage, row in zip(stages, rows, strict=False):
        assert number(row["from step"]) == stage.step
        assert number(row["words"]) == round(stage.progress.words)
        assert number(row["tokens"]) == stage.progress.tokens == stage.step * SAMPLES * LENGTH
        assert number(row["complexity"]) == pytest.approx(stage.progress.complexity, abs=5e-4)
        assert number(row["parameters"]) == stage.parameters
        assert number(row["FLOPs"]) == pytest.approx(stage.flops, rel=5e-3)
        assert row["why"] == stage.reason


def test_parameters_and_flops_follow_from_the_sizes(plan, run_of):
    run, rows = run_of(), rows_of(plan())
    steps = [int(number(row["from step"])) for row in rows]
    config, flops, seconds = run.base_model_config, 0.0, 0.0
    for row, start, end in zip(rows, steps, [*steps[1:], None], strict=True):
        last = row["stage"] == "end"
        size = tokenformer_size(config)
        assert number(row["FLOPs"]) == pytest.approx(flops, rel=5e-3)
        minutes, rest = map(int, re.fullmatch(r"(\d+) min (\d+) s", row["time"]).groups())
        assert 60 * minutes + rest == pytest.approx(seconds, abs=0.51)
        if not last:
            assert number(row["parameters"]) == size.parameters
            flops += (end - start) * SAMPLES * LENGTH * size.training_flops_per_token(LENGTH)
            seconds = flops / 1e9
            config = run.growth.operators[0].grown_config(config)
    assert rows[-1]["parameters"] == rows[-2]["parameters"]


def test_the_end_is_the_whole_run(plan, run_of, corpus_folder):
    run, end = run_of(), rows_of(plan())[-1]
    assert number(end["from step"]) == STEPS
    assert number(end["tokens"]) == STEPS * SAMPLES * LENGTH
    assert number(end["words"]) == round(run.plan.words_before(STEPS * SAMPLES))
    words = PreparedCorpus.open(corpus_folder).train.words.sum()
    assert f"{run.plan.unique_words:,.0f} words, {run.plan.epochs:.2f} epochs" in plan()
    assert number(end["words"]) == pytest.approx(run.plan.epochs * words, rel=0.05)


TRIGGERS = {
    "complexity": {"name": "complexity", "percentiles": [35, 50]},
    "words": {"name": "schedule", "words": [500, 1500]},
    "steps": {"name": "schedule", "steps": [7, 9]},
    "FLOPs": {"name": "schedule", "flops": [1.0e7, 3.0e7]},
    "admitted text": {"name": "complexity", "admitted": [40, 75]},
    "any of two": {
        "name": "any",
        "of": [{"name": "schedule", "steps": [9, 50]}, {"name": "complexity", "admitted": [60, 65]}],
    },
    "all of two": {
        "name": "all",
        "of": [{"name": "schedule", "steps": [9, 50]}, {"name": "complexity", "admitted": [60, 65]}],
    },
    "one that is due at once": {"name": "schedule", "steps": [0, 30]},
    "one that never comes": {"name": "schedule", "steps": [20, 60]},
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS.keys())
@pytest.mark.parametrize(("earliest", "between"), [(0, 1), (12, 20)])
def test_the_stages_begin_where_the_trainer_will_grow(run_of, trigger, earliest, between):
    """The trainer asks before every step, the first and the last too, with the steps done so far."""
    limits = {"growth.earliest_step": earliest, "growth.minimum_steps_between": between}
    run = run_of({"growth.trigger": trigger, **limits})
    events = []
    for step in range(1, STEPS + 1):
        if run.growth.reason(run.progress(step - 1, events), events, run.loss_history()) is not None:
            events.append(step - 1)
    assert [stage.step for stage in run.stages()[1:]] == events
    assert len(run.model_configs) == 3


CONTEXTS = [None, [{"length": 4, "until": 0.4}, {"length": 8, "until": 0.7}, {"length": 16}]]


@pytest.mark.parametrize("context", CONTEXTS, ids=["whole context", "growing context"])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_every_ordering_and_context_is_planned_as_it_will_be_trained(run_of, ordering, context):
    """FLOPs are added up step by step, each at its own context length and size."""
    trigger = {"name": "any", "of": [{"name": "schedule", "flops": [1.2e7, 2.8e7]}, TRIGGERS["complexity"]]}
    curriculum = {"ordering": {"name": ordering}, "smoothing": 0.5}
    if context is not None:
        curriculum["context_length"] = context
    run = run_of({"growth.trigger": trigger, "curriculum": curriculum})
    events, flops, expected = [], 0.0, [(0, 0.0)]
    for step in range(1, STEPS + 1):
        progress = run.progress(step - 1, events)
        assert progress.flops == pytest.approx(flops)
        if run.growth.reason(progress, events, run.loss_history()) is not None:
            events.append(step - 1)
            expected.append((step - 1, flops))
        length = 16 if context is None or step > 42 else 4 if step <= 24 else 8
        size = tokenformer_size(run.model_configs[len(events)])
        flops += SAMPLES * LENGTH * size.training_flops_per_token(length)
    assert len(events) == 2
    assert [stage.step for stage in run.stages()] == [step for step, _ in expected]
    assert [stage.flops for stage in run.stages()] == pytest.approx([flops for _, flops in expected])


def test_the_plan_tells_context_words_and_shares(plan):
    changes = {"curriculum.context_length": CONTEXTS[1], "curriculum.mixture": {"text": 1}}
    printed = plan({**changes, "checkpoints.babylm_ladder": True})
    assert "Context: 4 tokens until step 24, 8 tokens until step 42, 16 tokens until step 60." in printed
    assert re.search(r"epochs of them: [\d,]+ words with repeats. By source: text 100.0 % of the text", printed)
    assert "The run ends before the first rung of the BabyLM ladder, 1M words." in printed


@pytest.mark.parametrize("words", [1000, "2k", 2500])
def test_a_budget_in_words_makes_the_steps(plan, run_of, words):
    changes = {"curriculum.budget.words": words, "tokens.train_steps": "null"}
    run, end = run_of(changes), rows_of(plan(changes))[-1]
    budget = 2000 if words == "2k" else words
    steps = run.config.tokens.train_steps
    per_step = run.progress(steps, []).words / steps
    assert budget - 2 * per_step < run.progress(steps, []).words <= budget
    assert number(end["from step"]) == steps and number(end["words"]) == round(run.progress(steps, []).words)
    # The resolved config, which has both, makes the same run; other steps are refused.
    assert run_of({**changes, "tokens.train_steps": steps}).plan.fingerprint == run.plan.fingerprint
    with pytest.raises(UserError, match=f"train_steps is {steps + 1}, and curriculum.budget.words makes {steps} steps"):
        run_of({**changes, "tokens.train_steps": steps + 1})


@refused(
    ({"tokens.train_steps": "null"}, "Give tokens.train_steps, or words to curriculum.budget.words"),
    ({"curriculum.budget.words": "lots"}, "words must be a number of words, such as 10_000_000 or 10M, not 'lots'"),
    (
        {"curriculum.budget": {"words": "1M", "max_epochs": 2}, "tokens.train_steps": "null"},
        r"1,000,000 words are more than max_epochs 2 times the [\d,]+ unique words .*; ask for at most",
    ),
    ({"curriculum.budget.max_epochs": 0}, "max_epochs is 0; it must be 1 or more"),
    ({"curriculum.mixture": {"other": 1}}, "give a share to each source of the corpus, text; 0 leaves one out"),
    ({"curriculum.context_length": [{"length": 7}]}, "7 does not divide tokens.sequence_length 16"),
    (
        {
            "parallelism.tp_mode": "REDUCE_SCATTER",
            "parallelism.tp": 2,
            "curriculum.context_length": [{"length": 1, "until": 0.5}, {"length": 16}],
        },
        "curriculum.context_length 1 cannot be split over parallelism.tp 2",
    ),
    (
        {"curriculum.selections": [{"name": "best"}]},
        "curriculum.selections.0.name is .best.; choose one of complexity_window",
    ),
)
def test_a_curriculum_that_cannot_be_is_refused_by_its_key(run_of, changes):
    run_of(changes)


def test_progress_is_that_of_the_sample_plan(run_of):
    run = run_of()
    smoothed, average = [], 0.0
    for step in range(STEPS):
        average = 0.5 * average + 0.5 * run.plan.sample_complexity[step * SAMPLES : (step + 1) * SAMPLES].mean()
        smoothed.append(average / (1 - 0.5 ** (step + 1)))
    for step in range(1, STEPS + 1):
        progress = run.progress(step, [])
        assert progress.complexity == pytest.approx(smoothed[step - 1])
        simpler = (run.plan.sample_complexity < progress.complexity).mean()
        assert progress.complexity_percentile == pytest.approx(100 * simpler)
        assert progress.words == pytest.approx(run.plan.words_before(step * SAMPLES))


PLATEAU = {"name": "plateau", "improvement_per_petaflop": 2.0e4, "patience": 1, "events": 2}
LATEST = {"name": "any", "of": [PLATEAU, {"name": "schedule", "steps": [25, 50]}]}
PLATEAU_EVERY_TENTH = {"growth.trigger": PLATEAU, "tokens.val_check_interval": 10}


def test_stages_that_losses_decide_are_shown_as_not_known(plan, run_of):
    run, rows = run_of(PLATEAU_EVERY_TENTH), rows_of(plan(PLATEAU_EVERY_TENTH))
    assert [row["from step"] for row in rows] == ["0", ">= 20", ">= 40", "60"]
    for row, stage in zip(rows[1:3], run.stages()[1:], strict=True):
        assert number(row["words"].removeprefix(">= ")) == round(stage.progress.words)
        assert number(row["tokens"].removeprefix(">= ")) == stage.earliest_step * SAMPLES * LENGTH
        assert number(row["parameters"]) == stage.parameters
        assert row["complexity"] == row["FLOPs"] == row["time"] == ""
        assert row["why"] == "depends on losses; perhaps never"


@pytest.mark.parametrize(
    ("trigger", "at_most", "at_least"), [(PLATEAU, [20, 40, 60], [60]), (LATEST, [20, 40, 60], [25, 50, 60])]
)
def test_the_end_gives_the_least_and_the_most(plan, run_of, trigger, at_most, at_least):
    changes = {**PLATEAU_EVERY_TENTH, "growth.trigger": trigger}
    run, end = run_of(changes), rows_of(plan(changes))[-1]
    per_step = [SAMPLES * LENGTH * stage.flops_per_token for stage in run.stages()]
    least, most = (
        sum((till - since) * flops for since, till, flops in zip([0, *ends], ends, per_step, strict=False))
        for ends in (at_least, at_most)
    )
    assert [float(part) for part in end["FLOPs"].split(" to ")] == pytest.approx([least, most], rel=5e-3)
    sizes = [run.stages()[len(ends) - 1].parameters for ends in (at_least, at_most)]
    assert [number(part) for part in end["parameters"].split(" to ")] == sorted(set(sizes))


def test_the_plan_says_in_words_what_is_known_of_losses(plan, run_of):
    printed, stages = plan({**PLATEAU_EVERY_TENTH, "growth.trigger": LATEST}), run_of(PLATEAU_EVERY_TENTH).stages()
    assert "Losses decide when stages 2, 3 will begin: their steps are not known before training." in printed
    assert "at the latest after step 25" in " ".join(row["why"] for row in rows_of(printed))
    for position, stage in enumerate(stages, start=1):
        flops = SAMPLES * LENGTH * stage.flops_per_token
        assert f"{flops:.3g} FLOPs and {flops / 1e9:.2g} s in stage {position}" in printed
        fall = f"{100 * 2.0e4 * 10 * flops / 1e15:.3g} % in stage {position}"
        assert (fall in printed) == (position <= 2)
    assert "once there are 2 such losses of the stage" in printed


def test_a_step_that_is_known_after_all_is_shown(plan):
    trigger = {"name": "any", "of": [PLATEAU, {"name": "schedule", "steps": [12, 55]}]}
    rows = rows_of(plan({**PLATEAU_EVERY_TENTH, "growth.trigger": trigger}))
    assert [row["from step"] for row in rows] == ["0", "12", ">= 30", "60"]
    assert rows[1]["why"] == "step 12 >= 12"


@cases(
    ({"optimizer.learning_rate_scheduler.lr_warmup_steps": 54}, "falls into the warm-up of 54 steps"),
    ({"optimizer.learning_rate_scheduler.lr_decay_starting_step": 4}, "falls into the decay of the learning rate"),
    ({"optimizer.learning_rate_scheduler.lr_decay_starting_step": "null"}, "falls into the decay"),
    ({"growth.trigger.percentiles": [35, 100]}, "1 of 2 growth events never come"),
    ({"growth.earliest_step": 60}, "2 of 2 growth events never come"),
    ({"growth.latest_step": 5}, "2 of 2 growth events never come"),
    ({"growth.trigger": PLATEAU, "tokens.val_check_interval": 25}, "1 of 2 growth events never come, whatever the"),
    (PLATEAU_EVERY_TENTH, "a growth may fall into the decay of the learning rate; set growth.latest_step"),
    (
        {**PLATEAU_EVERY_TENTH, "optimizer.learning_rate_scheduler.lr_warmup_steps": 54},
        "a growth may fall into the warm-up of 54 steps; set growth.earliest_step",
    ),
    ({"growth": "null"}, "The model keeps its size: the config has no growth section"),
    ({"growth.operators": "{}"}, "The model keeps its size: there is no operator for its type"),
)
def test_the_plan_says_what_may_not_be_meant(plan, changes, note):
    assert note in plan(changes) and note not in plan()


def test_a_plan_without_such_doubts_has_no_notes(plan):
    assert "Note:" not in plan()
    assert "Note:" not in plan({**PLATEAU_EVERY_TENTH, "growth.latest_step": 54})


def test_a_llama_keeps_its_size(plan):
    block = "{is_llama_config: true, hidden_size: 16, num_attention_heads: 2, num_hidden_layers: 1, vocab_size: 300}"
    printed = plan({"model.model_config": block}, name="llama")
    assert [row["stage"] for row in rows_of(printed)] == ["1", "end"]
    assert "The model keeps its size: there is no operator for its type" in printed


def test_a_vocabulary_that_is_left_out_is_that_of_the_corpus(run_of):
    left_out, given = run_of({"model.model_config.vocab_size": "null"}), run_of()
    assert left_out.config == given.config
    assert left_out.base_model_config == given.base_model_config


@pytest.mark.parametrize("layer", plan_table.LAYERS)
def test_a_measured_rate_is_a_rate(layer, monkeypatch):
    monkeypatch.setattr(plan_table, "MEASURING_SECONDS", 0.01)
    assert 0 < plan_table.measured_flops_per_second(layer, rows=4, hidden=8, width=8) < 1e16


LLAMA_BLOCK = "{is_llama_config: true, hidden_size: 16, num_attention_heads: 2, num_hidden_layers: 1, vocab_size: 300"
MEASURED = {
    "pattention": ({}, ("pattention", TINY["model.model_config.feed_forward_tokens"])),
    "swiglu": (
        {
            "model.model_config.feed_forward_layer": "swiglu",
            "model.model_config.swiglu_width": 24,
            "model.model_config.base_size.swiglu_width": 24,
        },
        ("swiglu", 24),
    ),
    "llama": ({"model.model_config": f"{LLAMA_BLOCK}, intermediate_size: 40}}"}, ("swiglu", 40)),
}


@pytest.mark.parametrize(("changes", "expected"), MEASURED.values(), ids=MEASURED.keys())
def test_time_is_estimated_by_the_feed_forward_layer_that_the_model_has(changes, expected, run_of):
    assert plan_table.feed_forward_layer(run_of(changes).base_model_config) == expected


def test_score_shows_the_path_of_a_run(repository, assignments, tmp_path, capsys):
    """`tokenformer score RUN.yaml`: the run's corpus by its own measure, and the plan's complexity on the page."""
    pytest.importorskip("matplotlib")
    words = [word for assignment in assignments() for word in ("--set", assignment)]
    config = str(repository / "configs" / "tokenformer.yaml")
    assert cli.main(["score", config, *words, "--html", str(tmp_path / "page.html")]) == 0
    assert "lix, in LIX points" in capsys.readouterr().out
    assert "Planned path of complexity" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert cli.main(["score", config, *words, "--measure", "mtld"]) == 2
    assert "reads its corpus by the measure 'lix'" in capsys.readouterr().err
