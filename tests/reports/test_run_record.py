import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.errors import UserError
from tokenformer.run_folder.record import RunRecord


def append(folder, *lines):
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_reads_back_what_was_written(run_folder, metrics):
    record = RunRecord.open(run_folder)
    assert record.name == "bible-demo"
    assert record.steps == [line for line in metrics if "lm_loss" in line]
    assert [line["iteration_step"] for line in record.validations] == list(range(0, 801, 40))
    assert record.levels == ["1-basic-english", "2-modern-english", "3-king-james"]
    assert record.config["general"] == {"project": "demo"}
    assert record.planned_stages == [{"stage": 1}]
    assert list(record.baselines) == ["unigram", "bigram", "trigram"]
    assert record.baselines["trigram"].loss == 3.61
    assert record.notes == []


def test_unknown_keys_are_kept(write_run, metrics):
    metrics[-1]["something/new"] = [1, 2]
    assert RunRecord.open(write_run(metrics)).steps[-1]["something/new"] == [1, 2]


def test_stages_are_the_steps_between_growth_events(run_folder, metrics):
    stages = RunRecord.open(run_folder).stages
    by_step = {line["iteration_step"]: line for line in metrics if "lm_loss" in line}
    assert [stage.last_step for stage in stages] == [240, 500, 800]
    assert [stage.parameters for stage in stages] == [1_234_567, 2_345_678, 4_567_890]
    assert [stage.held_out_step for stage in stages] == [240, 480, 800]
    for stage in stages:
        assert stage.words == by_step[stage.last_step]["consumed_words"]
        assert stage.tokens == by_step[stage.last_step]["consumed_tokens"]
        assert stage.training_flops == by_step[stage.last_step]["training_flops"]
        assert stage.held_out.loss == by_step[stage.held_out_step]["val/loss"]
        assert stage.held_out.by_level["3-king-james"] == (
            by_step[stage.held_out_step]["val/loss/3-king-james"],
            by_step[stage.held_out_step]["val/bits_per_byte/3-king-james"],
        )


@settings(max_examples=50)
@given(kinds=st.lists(st.sampled_from(["step", "validation", "growth"]), max_size=30))
def test_every_step_and_validation_belongs_to_the_stage_its_line_stands_in(tmp_path_factory, kinds):
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text("general: {}\n")
    lines = [{"iteration_step": 1, "lm_loss": 5.0, "consumed_words": 1, "growth/parameters": 1}]
    last_of_stage = [lines[0]["consumed_words"]]
    for kind in kinds:
        step = lines[-1]["iteration_step"]
        if kind == "step":
            lines.append(
                {
                    "iteration_step": step + 1,
                    "lm_loss": 4.0,
                    "consumed_words": step + 1,
                    "growth/parameters": len(last_of_stage),
                }
            )
            last_of_stage[-1] = step + 1
        elif kind == "validation":
            lines.append({"iteration_step": step, "val/loss": 4.0})
        else:
            number = len(last_of_stage)
            lines.append({"iteration_step": step, "growth/event": number, "growth/parameters": number + 1})
            last_of_stage.append(step)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    record = RunRecord.open(folder)
    assert record.notes == []
    assert len(record.lines) == len(lines)
    assert [stage.number for stage in record.stages] == list(range(1, len(last_of_stage) + 1))
    assert [stage.parameters for stage in record.stages] == list(range(1, len(last_of_stage) + 1))
    assert [stage.words for stage in record.stages] == last_of_stage


def test_lines_that_are_not_steps_take_the_progress_of_the_step_before(run_folder):
    record = RunRecord.open(run_folder)
    assert record.validations[0]["consumed_words"] == 0
    event = record.growth_events[1]
    assert (event.step, event.operator, event.parameters_before, event.parameters) == (
        500,
        "append_tokens",
        2_345_678,
        4_567_890,
    )
    assert event.line["training_flops"] == record.stages[1].training_flops


@pytest.mark.parametrize("unfinished", ['{"iteration_step": 801, "lm_lo', "{", '{"lm_loss": 1.0}\n', "[1]\n", "\0\0"])
def test_a_half_written_last_line_is_left_out_with_a_note(write_run, metrics, unfinished):
    record = RunRecord.open(write_run(metrics, None, unfinished))
    assert record.steps[-1]["iteration_step"] == 800
    assert len(record.notes) == 1
    assert "the last line is incomplete" in record.notes[0]


def test_a_broken_line_within_is_left_out_with_its_number(write_run, metrics):
    folder = write_run(metrics[:10], None, '{"iteration_step": 10, "lm_\n')
    append(folder, *metrics[11:])
    record = RunRecord.open(folder)
    assert [line["iteration_step"] for line in record.steps[8:11]] == [9, 11, 12]
    assert record.notes == [
        "metrics.jsonl: line 11 is incomplete and was left out; was the run stopped while writing it?"
    ]


def test_a_complete_last_line_needs_no_line_end(write_run, metrics):
    record = RunRecord.open(write_run(metrics[:5], None, json.dumps(metrics[5])))
    assert record.steps[-1]["iteration_step"] == 5
    assert record.notes == []


@pytest.mark.parametrize("checkpoint", [0, 1, 120, 239, 240, 241, 499, 500, 501, 799])
def test_a_resumed_run_reads_like_one_that_never_stopped(write_run, metrics, checkpoint):
    again = [line for line in metrics if line["iteration_step"] > checkpoint]
    first_attempt = [line | {"val/loss": 99.0} if "val/loss" in line else line for line in metrics]
    kept = [line for line in first_attempt if line["iteration_step"] <= checkpoint]
    folder = write_run(first_attempt)
    append(folder, *again)
    resumed = RunRecord.open(folder)
    uninterrupted = RunRecord.open(write_run(kept + again))
    assert resumed.lines == uninterrupted.lines
    assert resumed.stages == uninterrupted.stages
    assert uninterrupted.notes == []
    assert f"{len(metrics) - len(kept)} lines" in resumed.notes[0]


def test_a_run_resumed_right_before_its_growth_grows_once(write_run, metrics):
    folder = write_run(metrics)
    growth = next(index for index, line in enumerate(metrics) if "growth/event" in line)
    append(folder, *metrics[growth:])
    record = RunRecord.open(folder)
    assert [event.number for event in record.growth_events] == [1, 2]
    assert [line["iteration_step"] for line in record.steps] == list(range(1, 801))


def test_what_the_baselines_were_measured_on_is_no_baseline(run_folder):
    path = run_folder / "baselines.json"
    path.write_text(json.dumps({"measured_on": {"corpus": "abc", "levels": []}} | json.loads(path.read_text())))
    assert list(RunRecord.open(run_folder).baselines) == ["unigram", "bigram", "trigram"]


def test_steps_logged_by_a_process_that_does_not_know_the_training_loss(write_run, metrics):
    lines = [{key: value for key, value in line.items() if key != "lm_loss"} for line in metrics]
    record = RunRecord.open(write_run(lines))
    assert [line["iteration_step"] for line in record.steps] == list(range(1, 801))
    assert record.notes == []


def test_a_run_without_growth_is_one_stage(write_run, metrics):
    stages = RunRecord.open(write_run(metrics[:100])).stages
    assert [(stage.number, stage.last_step, stage.parameters) for stage in stages] == [(1, 99, 1_234_567)]


def test_without_validation_or_baselines(write_run, metrics):
    lines = [{key: value for key, value in line.items() if not key.startswith("val/")} for line in metrics]
    record = RunRecord.open(write_run(lines))
    assert (record.validations, record.levels, record.baselines) == ([], [], {})
    assert all(stage.held_out is None and stage.held_out_step is None for stage in record.stages)


@pytest.mark.parametrize("missing", ["config.yaml", "metrics.jsonl"])
def test_a_folder_that_is_no_run_is_named_with_the_remedy(run_folder, missing):
    (run_folder / missing).unlink()
    with pytest.raises(UserError) as error:
        RunRecord.open(run_folder)
    assert all(text in str(error.value) for text in (str(run_folder), missing, "tokenformer train"))


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        RunRecord.open(tmp_path / "nowhere")


@pytest.mark.parametrize("lines", [0, 1], ids=["empty", "validation before the first step"])
def test_a_run_without_a_step_says_so(write_run, metrics, lines):
    with pytest.raises(UserError, match="no training step yet"):
        RunRecord.open(write_run(metrics[:lines]))


@cases(
    ("baselines.json", "{"),
    ("baselines.json", "[1]"),
    ("stages.json", "["),
    ("reading.json", "{"),
    ("config.yaml", "a: [1"),
    ("config.yaml", ""),
)
def test_a_broken_file_is_named(run_folder, name, content):
    (run_folder / name).write_text(content)
    with pytest.raises(UserError, match=name):
        RunRecord.open(run_folder)
