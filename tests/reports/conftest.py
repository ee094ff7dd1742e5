"""A made-up run: three stages, three difficulty levels, with the shape of real numbers."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

LEVELS = ("1-basic-english", "2-modern-english", "3-king-james")
SIZES = (1_234_567, 2_345_678, 4_567_890)
GROWN_AFTER = (240, 500)
STEPS = 800
TOKENS_A_STEP = 4096
WORDS_A_TOKEN = 0.74
BYTES_A_TOKEN = 3.9

CONFIG = """\
general:
  project: demo
model_config:
  hidden_size: 192
  activation: <l2_norm_gelu> & "erf"
growth:
  trigger: complexity
"""

BASELINES = {"unigram": 5.93, "bigram": 4.12, "trigram": 3.61}


def held_out(loss: float) -> dict:
    values = {"": loss, **{f"/{level}": loss * factor for level, factor in zip(LEVELS, (0.87, 1.0, 1.14), strict=True)}}
    losses = {f"val/loss{suffix}": value for suffix, value in values.items()}
    bits = {f"val/bits_per_byte{suffix}": value / math.log(2) / BYTES_A_TOKEN for suffix, value in values.items()}
    return losses | bits


def fake_metrics() -> list[dict]:
    noise = random.Random(1)
    lines = [
        {"iteration_step": 0, "consumed_tokens": 0, "consumed_words": 0.0, "training_flops": 0.0, **held_out(8.32)}
    ]
    flops = 0.0
    for step in range(1, STEPS + 1):
        stage = sum(step > boundary for boundary in GROWN_AFTER)
        flops += 6 * SIZES[stage] * TOKENS_A_STEP
        loss = 3.2 + 5.1 * math.exp(-step / 45) + 1.1 * math.exp(-step / 300) - 0.12 * stage
        line = {
            "iteration_step": step,
            "lm_loss": loss + noise.gauss(0, 0.12),
            "lr": 1e-3 * min(1, step / 50),
            "grad_norm": 0.8,
            "consumed_tokens": step * TOKENS_A_STEP,
            "consumed_words": step * TOKENS_A_STEP * WORDS_A_TOKEN,
            "tokens_per_sec": 5200.0,
            "training_flops": flops,
            "curriculum/complexity": 1.5 + 2.2 * step / STEPS + noise.gauss(0, 0.02),
            "growth/parameters": SIZES[stage],
            "elapsed_seconds": step * 0.79,
        }
        if step % 40 == 0:
            line |= held_out(loss + 0.08)
        lines.append(line)
        if step in GROWN_AFTER:
            lines.append(
                {
                    "iteration_step": step,
                    "growth/event": stage + 1,
                    "growth/operator": "append_tokens",
                    "growth/loss_before": loss,
                    "growth/loss_after": loss - 0.0004 + 0.0012 * stage,
                    "growth/parameters_before": SIZES[stage],
                    "growth/parameters": SIZES[stage + 1],
                    "growth/reason": f"smoothed complexity rose above {2.1 + 0.7 * stage:.1f}",
                }
            )
    return lines


def write_files(
    folder: Path, metrics: list[dict], baselines: dict[str, float] | None = None, unfinished_line: str = ""
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics) + unfinished_line)
    (folder / "stages.json").write_text(json.dumps([{"stage": 1}]))
    if baselines is not None:
        (folder / "baselines.json").write_text(json.dumps({name: held_out(loss) for name, loss in baselines.items()}))
    return folder


@pytest.fixture
def metrics() -> list[dict]:
    """The lines of a run that grew after steps 240 and 500 of 800 and validated every 40 steps."""
    return fake_metrics()


@pytest.fixture
def write_run(tmp_path) -> Callable[..., Path]:
    """`write_run(metrics, baselines, unfinished_line)` makes a run's folder; `baselines` maps names to losses."""
    return lambda *content: write_files(tmp_path / "bible-demo", *content)


@pytest.fixture
def run_folder(write_run, metrics) -> Path:
    return write_run(metrics, BASELINES)
