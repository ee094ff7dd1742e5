"""A run whose newest checkpoint is damaged stops, and goes on from an older one when it is told to."""

import re

import pytest

from tests.support.folders import all_bytes
from tests.support.training.run_files import assert_same_end, checkpoint, latest_step, rewound_copy

SAVED = 12


@pytest.fixture
def stopped(reference, tmp_path):
    return rewound_copy(reference, tmp_path, SAVED)


def flip_a_bit(path):
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 4]) + content[-8:])


def test_damage_is_named_with_the_newest_whole_checkpoint_before_it(stopped, refusal, tmp_path):
    folder = stopped / "checkpoints"
    moments = next((folder / "12" / "optimizer").glob("*.pt"))
    flip_a_bit(moments)
    (folder / "11" / "growth.json").unlink()
    before = all_bytes(tmp_path)
    message = refusal()
    assert str(moments) in message and f"whole checkpoint before it is {folder / '10'}" in message
    assert "--from-step 10" in message and all_bytes(tmp_path) == before


def test_a_run_goes_on_from_the_step_that_it_is_told(stopped, reference, command_line, train_here, tmp_path, capfd):
    flip_a_bit(next((stopped / "checkpoints" / "12").glob("model/**/*.safetensors")))
    folder = f"general.runs_folder={tmp_path}"
    assert command_line(folder) == 2 and "--from-step 11" in capfd.readouterr().err
    assert command_line(folder, options=("--from-step", "99")) == 2
    assert re.search(r"no checkpoint of step 99: there are 1, 2, .*, 12$", capfd.readouterr().err, re.MULTILINE)
    assert latest_step(stopped) == SAVED
    assert command_line(folder, options=("--from-step", "11")) == 0
    assert "goes on after step 11 of 16" in capfd.readouterr().err
    assert_same_end(stopped, reference)


def test_damage_is_let_pass_by_those_who_must(stopped, command_line, tmp_path):
    with open(checkpoint(stopped) / "config.yaml", "a") as file:  # Nanotron's, which nobody reads again
        file.write("# a word of mine")
    assert command_line(f"general.runs_folder={tmp_path}") == 2
    assert command_line(f"general.runs_folder={tmp_path}", options=("--no-verify",)) == 0
