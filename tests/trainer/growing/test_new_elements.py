"""New elements with a learning rate of their own, against torch's AdamW with a tensor and a rate for each kind."""

import pytest
import torch
from torch.optim import AdamW

from tests.support.training.run_files import assert_same_end, event_steps, rewound_copy
from tests.support.training.tiny_run import MODES
from tokenformer.trainer.growing.new_elements import NewElements, rate_of_new_elements, slow_down
from tokenformer.trainer.loop.trainer import TokenformerTrainer

SETTINGS = {"weight_decay": 0.3, "betas": (0.9, 0.97), "eps": 1e-8}
RATE, EVENT, WARMUP, FACTOR = 0.01, 4, 5, 0.6


def gradients(steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(8, 6, generator=generator, dtype=torch.float64) for _ in range(steps)]


def masks() -> dict[str, torch.Tensor]:
    rows = (torch.arange(8) >= 5)[:, None].expand(8, 6).contiguous()
    return {"rows": rows, "anywhere": torch.rand(8, 6, generator=torch.Generator().manual_seed(3)) > 0.4}


def rate_at(step: int) -> float:
    """Written out by hand: a fifth of the factor in the first step after the event, all of it from the fifth on."""
    return FACTOR * {5: 0.2, 6: 0.4, 7: 0.6, 8: 0.8}.get(step, 1.0)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", ["rows", "anywhere"])
def test_new_elements_step_as_in_a_tensor_of_their_own(kind, fused):
    new = masks()[kind]
    start = torch.randn(8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = torch.nn.Parameter(start.clone())
    optimizer = AdamW([together], lr=RATE, fused=fused, **SETTINGS)
    now = EVENT
    slow_down(
        optimizer,
        [NewElements(together.detach(), new)],
        lambda: rate_of_new_elements(now, EVENT, WARMUP, FACTOR),
    )
    apart = {key: torch.nn.Parameter(start[mask].clone()) for key, mask in (("old", ~new), ("new", new))}
    reference = AdamW([{"params": [apart["old"]]}, {"params": [apart["new"]]}], lr=RATE, fused=fused, **SETTINGS)
    for now, gradient in enumerate(gradients(12), start=EVENT + 1):
        together.grad = gradient
        optimizer.step()
        apart["old"].grad, apart["new"].grad = gradient[~new], gradient[new]
        reference.param_groups[1]["lr"] = RATE * rate_at(now)
        reference.step()
        torch.testing.assert_close(together[new], apart["new"], rtol=1e-12, atol=1e-14)
        assert torch.equal(together[~new], apart["old"])


def test_it_ends_when_the_rate_is_that_of_the_others():
    new, rates = masks()["rows"], iter([0.5, 0.5, None, None])
    tensors = [torch.nn.Parameter(torch.ones(8, 6, dtype=torch.float64)) for _ in range(2)]
    slowed, plain = (AdamW([tensor], lr=RATE) for tensor in tensors)
    parts = [NewElements(tensors[0].detach(), new)]
    slow_down(slowed, parts, lambda: next(rates))
    for _ in range(2):
        before = [tensor.detach().clone() for tensor in tensors]
        for tensor, optimizer in zip(tensors, (slowed, plain), strict=True):
            tensor.grad = torch.ones_like(tensor)
            optimizer.step()
    assert parts == []
    torch.testing.assert_close(tensors[0] / before[0], tensors[1] / before[1], rtol=1e-3, atol=0)


STANDING_STILL = (
    "growth.trigger={name: schedule, steps: [3]}",
    "growth.learning_rate_factor=1.0e-30",
    "tokens.train_steps=8",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=7",
    "optimizer.learning_rate_scheduler.lr_decay_steps=1",
    "checkpoints.checkpoint_interval=8",
)


@pytest.mark.parametrize("mode", MODES)
def test_in_a_run_the_rate_acts_on_every_new_element_and_on_no_other(live_trainer, mode):
    weights = {}

    def note(trainer):
        named = trainer.unwrapped_model.get_named_params_with_correct_tied()
        weights[trainer.iteration_step] = {name: param.detach().clone() for name, param in named}

    with pytest.MonkeyPatch.context() as patch, live_trainer(*STANDING_STILL, *MODES[mode]) as trainer:
        patch.setattr(TokenformerTrainer, "post_train_step", note)
        trainer.fit()
    grown = [name for name in weights[8] if name.endswith(("key_tokens", "value_tokens"))]
    assert len(grown) == 20
    for name in grown:
        old = len(weights[3][name])
        first, last = weights[4][name], weights[8][name]
        torch.testing.assert_close(first[old:], last[old:], rtol=0, atol=1e-25)
        assert (first[:old] != last[:old]).any(dim=1).all() or mode == "bf16", name
        assert not torch.equal(first[:old], last[:old]), name


WITH_ALL_SETTINGS = (
    "growth.trigger={name: schedule, steps: [4, 9]}",
    "growth.minimum_steps_between=4",
    "growth.warmup_steps=4",
    "growth.learning_rate_factor=0.7",
    "growth.new_moments=mean",
    "growth.operators.tokenformer=[{name: append_tokens}, {name: append_tokens, factor: 1.5, new_tokens: zero_keys}]",
)


def test_a_run_resumed_within_the_warm_up_ends_as_the_uninterrupted_one(train_here, tmp_path):
    whole = train_here(*WITH_ALL_SETTINGS)
    assert event_steps(whole) == [4, 9]
    for step in (4, 6, 9, 11):
        stopped = rewound_copy(whole, tmp_path / str(step), step)
        train_here(*WITH_ALL_SETTINGS, runs_folder=tmp_path / str(step))
        assert_same_end(stopped, whole)
