"""`tokenformer grow`: checkpoints of every layout grow by the operators that grow a live run."""

import dataclasses
import json
import re
import signal
from pathlib import Path

import pytest
import torch

from tests.support.cases import cases
from tests.support.places import PROGRAMS
from tests.support.training.launching import clean_environment, run_python
from tests.support.training.run_files import checkpoint, files, metrics, step_lines
from tokenformer.cli import main
from tokenformer.growth import OPERATORS
from tokenformer.growth.operator import GrowthContext, Transition
from tokenformer.growth.parameter_state import grown_state
from tokenformer.model.flops import model_size
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

EXACT = {
    "append_tokens": ("factor=1.5",),
    "append_tokens by cloning": ("new_tokens=clone",),
    "hypercloning": ("noise_db=10",),
    "stack_layers": ("zero_gated=true", "order=interleave"),
}
LAYOUTS = ("tp", "pp", "ZeRO-1 in 16 bits", "tp and ZeRO-1")


def grow(source: Path, output: Path, operator: str, *parameters: str, options: tuple[str, ...] = ("--verify",)) -> int:
    settings = [word for parameter in parameters for word in ("--set", parameter)]
    return main(["grow", str(source), str(output), "--operator", operator, *settings, *options])


def assert_same(first, second, name: str) -> None:
    tensors = [(first.weight, second.weight), (first.master, second.master), (first.step, second.step)]
    tensors += [(first.moments[key], moment) for key, moment in second.moments.items()]
    assert first.moments.keys() == second.moments.keys(), name
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in tensors), name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operator", EXACT)
def test_a_grown_checkpoint_computes_the_same(layout_run, tmp_path, capsys, operator, layout):
    name, source, output = operator.split()[0], checkpoint(layout_run(layout)), tmp_path / "out"
    stored = StoredCheckpoint(source)
    if name == "append_tokens" and stored.model_config.__class__.__name__ == "LlamaConfig":
        assert grow(source, output, name, *EXACT[operator]) == 2
        assert "append_tokens grows tokenformer, not llama" in capsys.readouterr().err
        return
    assert grow(source, output, name, *EXACT[operator]) == 0
    difference, largest = re.search(r"difference\| (\S+) at largest \|logit\| (\S+),", capsys.readouterr().out).groups()
    assert float(difference) <= float(largest) * (0.1 if "16 bits" in layout else 1e-5)
    assert_grown_by_the_operator(stored, StoredCheckpoint(output), name)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def assert_grown_by_the_operator(stored: StoredCheckpoint, grown: StoredCheckpoint, name: str) -> None:
    """Weights, fp32 copies and moments are those that the operator makes of the whole tensors of the source."""
    (event,) = grown.growth.events
    parameters = {key: value for key, value in event.operator.items() if key != "name"}
    transition = Transition(OPERATORS[name](**parameters), stored.model_config, grown.model_config)
    context = GrowthContext(stored.growth.seed, 1)
    for parameter in grown:
        old = {source: stored[source] for source in transition.growth_of(parameter).sources}
        assert_same(grown[parameter], grown_state(parameter, old, transition, context, "keep"), parameter)
    assert (event.stage, event.step, event.loss_before) == (1, 6, None)
    assert event.parameters_after == model_size(grown.model_config).parameters > event.parameters_before
    assert (grown.step, grown.samples) == (stored.step, stored.samples)


@cases(
    (
        "stack_layers",
        ("factor=2",),
        ("--verify",),
        "too much, and this operator does not keep the function; nothing was",
    ),
    (
        "hypercloning",
        ("width=2",),
        ("--verify", "--tolerance=0"),
        "too much, and this operator should keep the function",
    ),
    (
        "append_token",
        (),
        (),
        "operator.name is 'append_token'; did you mean append_tokens? Choose one of append_tokens",
    ),
    ("append_tokens", ("facto=2",), (), "did you mean factor"),
    ("append_tokens", ("factor=0.5",), (), "operator.factor is 0.5; it must be 1 or more"),
    ("append_tokens", ("count=0",), (), "append_tokens would leave the model as it is"),
    ("append_tokens", ("factor=1",), (), "append_tokens would leave the model as it is"),
    ("append_tokens", ("factor",), (), "write it as section.key=value"),
    ("append_tokens", (), ("--new-moments=some",), "choose one of keep, zero, mean"),
)
def test_what_cannot_be_grown_leaves_nothing(layout_run, tmp_path, capsys, operator, parameters, options, message):
    assert grow(checkpoint(layout_run("pp")), tmp_path / "out", operator, *parameters, options=options) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_and_a_source_that_does_not_are_refused(layout_run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    assert grow(checkpoint(layout_run("pp")), tmp_path / "out", "append_tokens") == 2
    assert "choose another output" in capsys.readouterr().err
    assert grow(tmp_path / "nothing", tmp_path / "new", "append_tokens") == 2
    assert "nothing" in capsys.readouterr().err and not (tmp_path / "new").exists()


@pytest.mark.parametrize("point", ["weights", "records"])
def test_killed_while_it_writes_it_leaves_no_output_and_the_next_call_succeeds(layout_run, tmp_path, point):
    source, output = checkpoint(layout_run("pp")), tmp_path / "out"
    program = str(PROGRAMS / "killed_in_writing.py")
    arguments = [program, "grow", str(source), str(output), "--operator", "append_tokens"]
    killed = run_python(arguments, clean_environment(KILLED_AT=point))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not output.exists()
    assert files(tmp_path / ".out.tokenformer" / "partial"), "nothing was written yet"
    assert grow(source, output, "append_tokens") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert_grown_by_the_operator(StoredCheckpoint(source), StoredCheckpoint(output), "append_tokens")


def test_a_run_starts_from_a_grown_checkpoint(layout_run, train_here, tmp_path):
    source, output = layout_run("pp"), tmp_path / "out"
    assert grow(checkpoint(source), output, "append_tokens", options=()) == 0
    model = dataclasses.asdict(StoredCheckpoint(output).model_config)
    settings = {key: model[key] for key in ("qkv_tokens", "output_tokens", "feed_forward_tokens", "num_hidden_layers")}
    run = train_here(
        "growth=null",
        "tokens.train_steps=1",
        f"model.init_method={{path: {output}, std: null}}",
        *(f"model.model_config.{key}={json.dumps(value)}" for key, value in settings.items()),
    )
    (start,) = (line for line in metrics(run) if line["iteration_step"] == 0)
    (end,) = (line for line in metrics(source) if line["iteration_step"] == 6 and "val/loss" in line)
    assert start["val/loss"] == pytest.approx(end["val/loss"], rel=1e-5)
    assert len(step_lines(run)) == 1
