"""Texts that the live model writes: the same under every layout, and those of the stored model."""

from functools import cache
from pathlib import Path

import pytest

from tests.support.training.launching import start_torchrun, start_training
from tests.support.training.run_files import step_lines
from tokenformer.errors import UserError
from tokenformer.evaluation.runners.generate import generate
from tokenformer.evaluation.runners.options import GenerateOptions, ModelSource

PROMPTS = ["", "ab", "ban da"]
SAMPLES = f"samples: {{prompts: {PROMPTS}, new_tokens: 12, temperature: 0}}"
SETTINGS = (
    "tokens.train_steps=4",
    "tokens.val_check_interval=-1",
    "growth.trigger={name: schedule, steps: [2]}",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=3",
    "optimizer.learning_rate_scheduler.lr_decay_steps=1",
    "optimizer.learning_rate_scheduler.learning_rate=0.02",
    f"evaluation={{every_words: 1, {SAMPLES}}}",
)
LAYOUTS = {
    "tp 2": ("parallelism.tp=2", "parallelism.tp_mode=REDUCE_SCATTER"),
    "pp 2": ("parallelism.pp=2",),
}


def samples(run) -> list[dict[str, str]]:
    return [{key: text for key, text in line.items() if key.startswith("sample/")} for line in step_lines(run)]


@pytest.fixture(scope="module")
def runs(tiny_config, tmp_path_factory):
    """Layout -> the folder of its run."""

    @cache
    def trained(layout: str) -> Path:
        folder = tmp_path_factory.mktemp("samples")
        settings = (*SETTINGS, *LAYOUTS.get(layout, ()), f"general.runs_folder={folder}")
        is_one = layout == "one"
        training = start_training(tiny_config, *settings) if is_one else start_torchrun(tiny_config, *settings, ranks=2)
        training.expect_success()
        return folder / "tiny"

    return trained


def test_every_step_that_is_due_has_a_text_for_each_prompt(runs):
    written = samples(runs("one"))
    assert len(written) == 4
    for texts in written:
        assert [text[: len(prompt)] for text, prompt in zip(texts.values(), PROMPTS, strict=True)] == PROMPTS
    assert len({tuple(texts.values()) for texts in written}) > 1, "the model learns"


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_writes_the_same(runs, layout):
    assert samples(runs(layout)) == samples(runs("one"))


def test_the_stored_model_writes_what_the_live_one_did(runs):
    source = ModelSource(str(runs("one") / "checkpoints" / "4"))
    texts = "".join(generate(GenerateOptions(source, tuple(PROMPTS), new_tokens=12, temperature=0)))
    assert texts == "\n\n".join(samples(runs("one"))[-1].values())


def test_the_same_seed_gives_the_same_texts_and_others_others(runs):
    def text(**options):
        source = ModelSource(str(runs("one") / "checkpoints" / "4"))
        return "".join(generate(GenerateOptions(source, ("ab",), new_tokens=20, temperature=2, **options)))

    assert text(seed=3) == text(seed=3) != text(seed=4)
    assert text(seed=3, samples=2).startswith(text(seed=3))


def test_settings_out_of_bounds_are_refused_before_the_model_is_read():
    for options in ({"temperature": -1}, {"top_p": 0}, {"new_tokens": 0}, {"samples": 0}):
        with pytest.raises(UserError, match="temperature must be 0 or more"):
            list(generate(GenerateOptions(ModelSource("nowhere"), **options)))


def test_samples_need_a_time(refusal):
    assert "at_words nor every_words" in refusal(f"evaluation={{every_words: null, {SAMPLES}}}")
