"""`tokenformer export` and `import` of trained checkpoints of every layout, and what the model card says of the run."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from tests.support.folders import as_older, forget_checksums
from tests.support.training.layout_runs import LAYOUTS
from tests.support.training.run_files import checkpoint, growth_lines, step_lines
from tokenformer.cli import main
from tokenformer.conversion.training_facts import TrainingFacts
from tokenformer.model.flops import model_size
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

pytest.importorskip("transformers", reason="an export is verified with transformers, of the extra [export]")


QUICK = ("tp and ZeRO-1", "ZeRO-1 in 16 bits")


@pytest.mark.parametrize(
    "layout", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in LAYOUTS]
)
def test_every_layout_is_exported_verified_and_imported_bit_for_bit(layout_run, layout, tmp_path, capsys):
    source = checkpoint(layout_run(layout))
    assert main(["export", str(source), str(tmp_path / "export")]) == 0
    assert "max |logit difference|" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "export"), str(tmp_path / "back")]) == 0
    stored, back = StoredCheckpoint(source), StoredCheckpoint(tmp_path / "back")
    assert stored.model_config == back.model_config and stored.growth == back.growth
    assert stored.keys() == back.keys()
    for name in stored:
        assert stored.weight(name).dtype == back.weight(name).dtype
        assert torch.equal(stored.weight(name), back.weight(name)), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "export"]


@pytest.mark.parametrize(("layout", "is_tied"), [("pp", True), ("tp", False)])
def test_tied_weights_are_stored_once(layout_run, tmp_path, layout, is_tied):
    source = checkpoint(layout_run(layout))
    assert main(["export", str(source), str(tmp_path / "export"), "--no-verify"]) == 0
    tensors = load_file(tmp_path / "export" / "model.safetensors")
    assert ("lm_head.weight" in tensors) is not is_tied
    assert (
        sum(tensor.numel() for tensor in tensors.values())
        == model_size(StoredCheckpoint(source).model_config).parameters
    )


def test_the_model_card_tells_of_the_run(reference, tmp_path):
    assert main(["export", str(reference), str(tmp_path / "export"), "--no-verify"]) == 0  # its newest checkpoint
    card = (tmp_path / "export" / "README.md").read_text()
    last, events = step_lines(reference)[-1], growth_lines(reference)
    for told in (
        f"| words seen, repeats counted | {last['consumed_words']:,.0f} |",
        f"| tokens seen | {last['consumed_tokens']:,} |",
        f"| training FLOPs | {last['training_flops']:.3e} |",
        "| seed | 7 |",
        f"| training batch, step 16 | {last['lm_loss']:.4f} |",
        f"| held out, step 16 | {last['val/loss']:.4f} | {last['val/bits_per_byte']:.4f} |",
        "easy_to_hard",
        f"{last['growth/parameters']:,} parameters",
    ):
        assert told in card, told
    for event in events:
        row = [event["iteration_step"], "append_tokens", *(f"{event[key]:,}" for key in GROWTH_SIZES)]
        losses = [f"{event[key]:.4f}" for key in ("growth/loss_before", "growth/loss_after")]
        assert f"| {' | '.join(map(str, [*row, *losses]))} |" in card
    assert len(events) == 2
    for source in ("easy", "middle", "hard"):
        assert f"| {source}" in card or f"{source}.txt |" in card


GROWTH_SIZES = ("growth/parameters_before", "growth/parameters")


def test_a_ladder_has_a_revision_for_every_number_of_words(reference, tmp_path, capsys):
    words = {line["iteration_step"]: line["consumed_words"] for line in step_lines(reference)}
    asked = [round(words[2]), round(words[9]), round(words[16]), 10 * round(words[16])]
    arguments = ["export", "--ladder", str(reference), str(tmp_path / "ladder"), "--no-verify", "--words"]
    assert main([*arguments, *map(str, asked)]) == 0
    shown = capsys.readouterr().out
    names = [f"chck_{count / 1e6:g}M" for count in asked[:3]]
    assert sorted(path.name for path in (tmp_path / "ladder").iterdir()) == sorted([*names, "main"])
    sizes = []
    for name, step in zip([*names, "main"], (2, 9, 16, 16), strict=True):
        folder = tmp_path / "ladder" / name
        record = json.loads((folder / "training.json").read_text())
        assert record["model_config"] == StoredCheckpoint(checkpoint(reference, step)).model_settings
        assert f"{name}: tokenformer of" in shown and f"step {step}, {words[step]:,.0f} words seen" in shown
        sizes.append(json.loads((folder / "config.json").read_text())["qkv_tokens"])
    assert sizes[0] == 16 and sizes[2] == sizes[3] != sizes[0]


def test_a_revision_that_no_checkpoint_is_near_to_is_named(reference, tmp_path, capsys):
    run = shutil.copytree(reference, tmp_path / "run")
    words = {line["iteration_step"]: line["consumed_words"] for line in step_lines(reference)}
    for step in range(5, 16):
        shutil.rmtree(run / "checkpoints" / str(step))
    arguments = ["export", "--ladder", str(run), str(tmp_path / "ladder"), "--no-verify", "--words"]
    assert main([*arguments, str(round(words[4])), str(round(words[9]))]) == 0
    assert f"chck_{round(words[9]) / 1e6:g}M is missing: the nearest checkpoint" in capsys.readouterr().out
    assert len(list((tmp_path / "ladder").iterdir())) == 2


def test_older_checkpoints_count_their_words_by_the_metrics(reference, tmp_path):
    run = shutil.copytree(reference, tmp_path / "run")
    path = forget_checksums(checkpoint(run, 9)) / "curriculum.json"
    content = json.loads(path.read_text())
    words = content.pop("words")
    path.write_text(json.dumps(content))
    assert TrainingFacts.of(StoredCheckpoint(path.parent)).words == words == step_lines(run)[8]["consumed_words"]


def test_what_cannot_be_exported_leaves_nothing(reference, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").touch()
    lone = as_older(shutil.copytree(checkpoint(reference), tmp_path / "lone"))
    before = sorted(tmp_path.iterdir())
    for arguments, named in (
        ([str(lone), str(tmp_path / "there")], "exists: choose another output"),
        ([str(lone), str(tmp_path / "out")], "lies in no run's folder: give its folder as the option tokenizer"),
        ([str(reference / "checkpoints"), str(tmp_path / "out")], "give one of its steps"),
        (["--ladder", str(lone), str(tmp_path / "out")], "is not the folder of a run"),
        ([str(lone), str(tmp_path / "out"), "--tokenizer", str(tmp_path)], "there is no tokenizer"),
    ):
        assert main(["export", *arguments]) == 2
        assert named in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
