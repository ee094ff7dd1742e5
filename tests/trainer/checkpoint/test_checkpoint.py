"""What a checkpoint holds: Nanotron's tree, and our three records."""

import contextlib
import json
import shutil
from types import SimpleNamespace

import pytest
from nanotron.config import get_config_from_file

from tests.support.training.run_files import checkpoint, event_steps, growth_lines, weights
from tokenformer.errors import UserError
from tokenformer.model.config import TokenformerConfig, TokenSegment
from tokenformer.trainer.checkpoint import records as checkpoints
from tokenformer.trainer.run.prepared_run import PreparedRun

NANOTRON = {
    "checkpoint_metadata.json",
    "config.yaml",
    "model_config.json",
    "lr_scheduler",
    "model",
    "optimizer",
    "random",
}


def read_json(path):
    return json.loads(path.read_text())


def test_it_is_nanotrons_tree_and_our_records(reference):
    names = {path.name for path in checkpoint(reference).iterdir()}
    assert names == NANOTRON | {"growth.json", "curriculum.json", "run.yaml", "tokenizer", "checksums.json"}


def test_there_is_one_a_step_and_the_latest_is_the_last(reference):
    names = {path.name for path in (reference / "checkpoints").iterdir()}
    assert names == {str(step) for step in range(1, 17)} | {"latest.txt"}
    assert checkpoint(reference).name == "16"


def test_growth_json_tells_the_history(reference):
    first, second = event_steps(reference)
    for step, events_until_then in ((first, []), (first + 1, [first]), (second, [first]), (16, [first, second])):
        record = read_json(checkpoint(reference, step) / "growth.json")
        assert [event["step"] for event in record["events"]] == events_until_then
        assert record["seed"] == 7
    for event, line in zip(record["events"], growth_lines(reference), strict=True):
        assert event["stage"] == line["growth/event"]
        assert event["operator"]["name"] == "append_tokens" and event["operator"]["factor"] == 2
        for key in ("reason", "loss_before", "loss_after", "parameters_before"):
            assert event[key] == line[f"growth/{key}"]
        assert event["parameters_after"] == line["growth/parameters"]


def test_growth_json_tells_the_segments_and_their_tau(reference):
    model_config = read_json(checkpoint(reference) / "growth.json")["model_config"]
    segments = [(segment["tokens"], segment["tau"]) for segment in model_config["qkv_tokens"]]
    assert segments == [(16, 4.0), (16, 4.0), (32, pytest.approx(32**0.5, abs=1e-15))]


def test_curriculum_json_tells_the_position_in_the_plan(reference, tiny_config):
    run = PreparedRun.from_file(tiny_config)
    for step in (1, 9, 16):
        record = read_json(checkpoint(reference, step) / "curriculum.json")
        assert record == {
            "plan": run.plan.fingerprint,
            "samples": 4 * step,
            "complexity": run.progress(step, []).complexity,
            "words": run.progress(step, []).words,
            "rung": None,
            "corpus": run.corpus.fingerprint,
        }


def test_nanotrons_own_parser_reads_the_config_with_the_grown_model(reference):
    path = checkpoint(reference) / "config.yaml"
    config = get_config_from_file(str(path))
    assert isinstance(config.model.model_config, TokenformerConfig)
    assert config.model.model_config.qkv_tokens == [
        TokenSegment(16, 4.0),
        TokenSegment(16, 4.0),
        TokenSegment(32, 32**0.5),
    ]
    assert (config.general.step, config.general.consumed_train_samples) == (16, 64)
    assert config.checkpoints.checkpoints_path == reference / "checkpoints"


def rows_of(folder, module, kind):
    """Rows of a kind of parameter tokens in each layer."""
    names = [name for name in weights(folder) if f"/{module}/" in name and f"model_{kind}_" in name]
    assert len(names) == 2
    return {len(weights(folder)[name]) for name in names}


@pytest.mark.parametrize(("module", "at_first"), [("query", 16), ("output", 16), ("feed_forward", 32)])
@pytest.mark.parametrize("kind", ["key_tokens", "value_tokens"])
def test_the_weights_have_the_rows_that_the_history_says(reference, module, at_first, kind):
    first, second = event_steps(reference)
    for step, times in ((first, 1), (first + 1, 2), (second, 2), (second + 1, 4)):
        assert rows_of(checkpoint(reference, step), module, kind) == {times * at_first}


class Stopped(Exception):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("operation", range(5))
def test_wherever_publishing_stops_the_latest_checkpoint_is_whole(tmp_path, monkeypatch, operation):
    """Each change of the file system may be the last one before the process dies."""
    for step in (3, 4, 5):
        folder = tmp_path / str(step)
        folder.mkdir()
        (folder / "content").write_text("old")
    (tmp_path / "latest.txt").write_text("3")
    (tmp_path / ".tokenformer.partial" / "5").mkdir(parents=True)
    (tmp_path / ".tokenformer.partial" / "5" / "content").write_text("new")

    done = 0

    def counted(function):
        def wrapper(*args, **kwargs):
            nonlocal done
            if done == operation:
                raise Stopped
            done += 1
            return function(*args, **kwargs)

        return wrapper

    fake_shutil = SimpleNamespace(rmtree=counted(shutil.rmtree))
    monkeypatch.setattr(checkpoints, "shutil", fake_shutil)
    monkeypatch.setattr(checkpoints.os, "replace", counted(checkpoints.os.replace))
    with contextlib.suppress(Stopped):
        checkpoints.publish(tmp_path, 5)
    latest = checkpoints.latest_checkpoint(tmp_path)
    assert (latest.name, (latest / "content").read_text()) in {("3", "old"), ("5", "new")}
    if done < operation:
        assert latest.name == "5"


@pytest.mark.parametrize(
    ("content", "says"), [("", "no step number"), ("twelve", "no step number"), ("99", "not there")]
)
def test_a_wrong_latest_txt_is_a_users_error(tmp_path, content, says):
    (tmp_path / "latest.txt").write_text(content)
    with pytest.raises(UserError, match=says) as error:
        checkpoints.latest_checkpoint(tmp_path)
    assert "latest.txt" in str(error.value)


def test_without_latest_txt_the_highest_step_is_the_newest(tmp_path):
    assert checkpoints.latest_checkpoint(tmp_path) is None
    for name in ("7", "10", ".tokenformer.partial"):
        (tmp_path / name).mkdir()
    assert checkpoints.latest_checkpoint(tmp_path) == tmp_path / "10"
