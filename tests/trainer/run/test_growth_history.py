"""A checkpoint that grew otherwise than the config says is refused, by the name of the layer and both sizes.

The run's configs are gone in these tests, as when an old checkpoint alone was copied; with them the changed key is
named first.
"""

import pytest

from tests.support.training.run_files import event_steps, forget_configs, rewound_copy
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import starting_point


@pytest.fixture
def refusal_after(reference, refusal, tmp_path):
    """Why a copy of the reference run, stopped after a number of growth events, cannot go on with other settings."""

    def refusal_after(events: int, *settings: str) -> str:
        run = rewound_copy(reference, tmp_path, event_steps(reference)[events - 1] + 1)
        forget_configs(run)
        return refusal(*settings)

    return refusal_after


OPERATOR = "growth.operators.tokenformer"
BY_ITS_EVENTS = {
    "another factor": ((f"{OPERATOR}.factor=1.5",), ["growth event 1", "'factor': 2.0", "'factor': 1.5"]),
    "another kind of new tokens": (
        (f"{OPERATOR}.new_tokens=zero_keys",),
        ["growth event 1", "'new_tokens': 'zero_values'", "'new_tokens': 'zero_keys'", "layer 0"],
    ),
    "another size at the start": (
        ("model.model_config.feed_forward_tokens=48",),
        ["layer 0", "feed_forward_tokens 64 (32 with tau 5.65685 + 32 with tau 5.65685)", "96 (48 with tau 6.9282"],
    ),
    "another size of one layer": (
        ("model.model_config.layer_tokens=[{layer: 1, qkv_tokens: 8}]",),
        ["layer 1", "qkv_tokens 32 (16 with tau 4 + 16 with tau 4)", "16 (8 with tau 2.82843 + 8 with tau 2.82843)"],
    ),
    "another tau": (
        ("model.model_config.output_tokens=[{tokens: 16, tau: 5.0}]",),
        ["layer 0", "output_tokens 32 (16 with tau 4 + 16 with tau 4)", "32 (16 with tau 5 + 16 with tau 4)"],
    ),
    "tau learned": (("model.model_config.tau=learned",), ["tau: 'fixed'", "'learned'"]),
}


@pytest.mark.parametrize(("settings", "words"), BY_ITS_EVENTS.values(), ids=BY_ITS_EVENTS.keys())
def test_the_layer_and_both_sizes_are_named(refusal_after, settings, words, tmp_path):
    message = refusal_after(1, *settings)
    assert [word for word in [str(tmp_path), *words] if word not in message] == [], message


def test_the_second_event_is_named_where_the_first_is_the_same(refusal_after):
    message = refusal_after(2, f"{OPERATOR}=[{{name: append_tokens, factor: 2}}, {{name: append_tokens, factor: 3}}]")
    assert "growth event 2" in message and "growth event 1" not in message
    assert "layer 0 has qkv_tokens 64" in message and "96 (16 with tau 4" in message


@pytest.mark.parametrize("settings", ["growth=null", "growth.trigger.percentiles=[30]"])
def test_more_events_than_the_config_allows_are_refused(refusal_after, settings):
    message = refusal_after(2, settings)
    allowed = "allows 0" if settings == "growth=null" else "allows 1"
    assert "has 2 growth events behind it" in message and allowed in message


def test_the_same_history_is_not_refused(reference, tiny_config, tmp_path):
    step = event_steps(reference)[1] + 1
    run = rewound_copy(reference, tmp_path, step)
    forget_configs(run)
    list_of_the_same = f"{OPERATOR}=[{{name: append_tokens, factor: 2}}, {{name: append_tokens, factor: 2}}]"
    prepared = PreparedRun.from_file(tiny_config, [list_of_the_same, f"general.runs_folder={tmp_path}"])
    assert starting_point(prepared).step == step
