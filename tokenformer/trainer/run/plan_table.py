"""The table of `tokenformer plan`: the stages of a run, before anything is trained."""

import io
import time
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch.nn import functional

from tokenformer.devices import default_device
from tokenformer.kernels import pattention
from tokenformer.trainer.run.plan_notes import plan_notes
from tokenformer.trainer.run.prepared_run import PreparedRun, Stage

# Share of a training step that matrix products take on the machines measured; see benchmarks/train_step.py.
MATRIX_SHARE = 0.6
MEASURING_SECONDS = 0.5


def _swiglu(x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    return (functional.silu(x @ gate.T) * (x @ up.T)) @ down


# Feed-forward layers by name: the function, and the number of its matrices [width, hidden].
LAYERS = {"pattention": (pattention, 2), "swiglu": (_swiglu, 3)}


def feed_forward_layer(model_config: Any) -> tuple[str, int]:
    """Key of LAYERS and width, in parameter tokens or in features, of a model's first feed-forward layer."""
    if hasattr(model_config, "intermediate_size"):
        return "swiglu", model_config.intermediate_size
    if model_config.is_pattention("feed_forward"):
        return "pattention", model_config.tokens("feed_forward")
    return "swiglu", model_config.swiglu_width


def measured_flops_per_second(layer: str, rows: int, hidden: int, width: int) -> float:
    """Rate of this process on one feed-forward layer of the run's shape, forward and backward, in FLOP/s.

    The best of several runs counts: whatever else the machine is doing only makes the others slower.

    Args:
        layer: a key of LAYERS.
        rows: tokens of a microbatch.
    """
    device, (function, count) = default_device(), LAYERS[layer]
    x = torch.randn(rows, hidden, device=device, requires_grad=True)
    matrices = [torch.randn(width, hidden, device=device, requires_grad=True) for _ in range(count)]
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < MEASURING_SECONDS:
        start = time.perf_counter()
        function(x, *matrices).sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 6 * rows * hidden * width * count / best


def _flops_per_second(run: PreparedRun, number: int) -> float:
    """Estimate for a stage, from the rate of its feed-forward layer on this machine with this process' threads."""
    model_config = run.model_configs[number]
    layer, width = feed_forward_layer(model_config)
    rows = run.config.tokens.micro_batch_size * run.config.tokens.sequence_length
    rate = measured_flops_per_second(layer, rows, model_config.hidden_size, width)
    return rate * MATRIX_SHARE * run.config.parallelism.world_size


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def plan_table(run: PreparedRun) -> str:
    """The stages as text: step, words, tokens, complexity, parameters, FLOPs and an estimated time."""
    stages = run.stages()
    rates = [_flops_per_second(run, number) for number in range(len(stages))]
    steps, data = run.config.steps, run.config.data_stages[0].name
    title = escape(f"{run.name}: {run.config.model_type}, {steps:,} steps on {data}")
    table = Table(title=title, title_justify="left")
    headings = ("stage", "from step", "words", "tokens", "complexity", "parameters", "FLOPs", "time", "why")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "why" else "right")
    begins = [stage.earliest_step for stage in stages]
    for number, stage in enumerate(stages):
        seconds = _seconds(run, begins[:number], stage.earliest_step, rates)
        row = _open_stage(stage) if stage.step is None else _known_stage(stage, seconds)
        table.add_row(str(number + 1), *row)
    table.add_section()
    table.add_row("end", *_end(run, stages, rates))
    flops = [stage.flops_per_token * run.config.tokens_per_step for stage in stages]
    seconds_per_step = [of_step / rate for of_step, rate in zip(flops, rates, strict=True)]
    return _as_text(table) + "\n".join(plan_notes(run, stages, seconds_per_step)) + "\n"


def _seconds(run: PreparedRun, begins: list[int], end: int, rates: list[float]) -> float:
    """Time until step `end` if the stages begin at these steps, at these rates in FLOP/s."""
    spans = zip(begins, [*begins[1:], end], rates, strict=False)
    return sum(run.stage_flops(number, begin, until) / rate for number, (begin, until, rate) in enumerate(spans))


def _known_stage(stage: Stage, seconds: float) -> tuple[str, ...]:
    progress = stage.progress
    return (
        f"{stage.step:,}",
        f"{progress.words:,.0f}",
        f"{progress.tokens:,}",
        f"{progress.complexity:.3f}",
        f"{stage.parameters:,}",
        f"{stage.flops:.3g}",
        _duration(seconds),
        escape(stage.reason),
    )


def _open_stage(stage: Stage) -> tuple[str, ...]:
    """A stage whose step losses decide: what is the least, and nothing where there is none."""
    progress = stage.progress
    latest = "perhaps never" if stage.latest_step is None else f"at the latest after step {stage.latest_step:,}"
    return (
        f">= {stage.earliest_step:,}",
        f">= {progress.words:,.0f}",
        f">= {progress.tokens:,}",
        "",
        f"{stage.parameters:,}",
        "",
        "",
        f"{stage.reason}; {latest}",
    )


def _end(run: PreparedRun, stages: list[Stage], rates: list[float]) -> tuple[str, ...]:
    """The last row. What is open costs most if each stage begins at its earliest step, and least at its latest."""
    steps = run.config.steps
    last = run.progress(steps, [])
    row = (f"{steps:,}", f"{last.words:,.0f}", f"{last.tokens:,}", f"{last.complexity:.3f}")
    costs = []
    for begins in (
        [stage.latest_step for stage in stages if stage.latest_step is not None],
        [stage.earliest_step for stage in stages],
    ):
        flops, seconds = run.training_flops(steps, begins[1:]), _seconds(run, begins, steps, rates)
        costs.append((f"{stages[len(begins) - 1].parameters:,}", f"{flops:.3g}", _duration(seconds)))
    return (*row, *(low if low == high else f"{low} to {high}" for low, high in zip(*costs, strict=True)), "")


def _as_text(table: Table) -> str:
    text = io.StringIO()
    Console(width=150, file=text).print(table)
    return text.getvalue()
