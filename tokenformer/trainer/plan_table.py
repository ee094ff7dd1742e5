"""What `tokenformer plan` prints: the stages of a run, before anything is trained."""

import io
import time

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tokenformer.kernels import pattention
from tokenformer.model.flops import model_size
from tokenformer.trainer.prepared_run import PreparedRun

# Share of a training step that matrix products take on the machines measured; see benchmarks/train_step.py.
MATRIX_SHARE = 0.6
MEASURING_SECONDS = 0.5


def measured_flops_per_second(rows: int, hidden: int, tokens: int) -> float:
    """Rate of this process on one Pattention of the run's shape, forward and backward, in FLOP/s.

    The best of several runs counts: whatever else the machine is doing only makes the others slower.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.randn(rows, hidden, device=device, requires_grad=True)
    keys, values = (torch.randn(tokens, hidden, device=device, requires_grad=True) for _ in range(2))
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < MEASURING_SECONDS:
        start = time.perf_counter()
        pattention(x, keys, values).sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 12 * rows * hidden * tokens / best


def _seconds_per_step(run: PreparedRun, number: int) -> float:
    """Estimate for a stage, from the rate of its feed-forward layer on this machine with this process' threads."""
    model_config = run.model_configs[number]
    hidden = model_config.hidden_size
    width = model_config.intermediate_size if hasattr(model_config, "intermediate_size") else None
    tokens = width if width is not None else model_config.tokens("feed_forward")
    rows = run.config.tokens.micro_batch_size * run.config.tokens.sequence_length
    rate = measured_flops_per_second(rows, hidden, tokens) * MATRIX_SHARE * run.config.parallelism.world_size
    flops = model_size(model_config).training_flops_per_token(run.config.tokens.sequence_length)
    return flops * run.config.tokens_per_step / rate


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _schedule_warning(run: PreparedRun, step: int) -> str | None:
    """Growth wants a constant learning rate: neither warm-up nor decay."""
    schedule = run.config.optimizer.learning_rate_scheduler
    decay = schedule.lr_warmup_steps if schedule.lr_decay_starting_step is None else schedule.lr_decay_starting_step
    if step < schedule.lr_warmup_steps:
        return f"the growth after step {step} falls into the warm-up of {schedule.lr_warmup_steps} steps"
    if schedule.min_decay_lr is not None and schedule.lr_decay_steps != 0 and step >= decay:
        return f"the growth after step {step} falls into the decay of the learning rate"
    return None


def plan_table(run: PreparedRun) -> str:
    """The stages as text: step, words, tokens, complexity, parameters, FLOPs and an estimated time."""
    steps, stages = run.config.tokens.train_steps, run.stages()
    title = escape(f"{run.name}: {run.config.model_type}, {steps:,} steps")
    table = Table(title=title, title_justify="left")
    headings = ("stage", "from step", "words", "tokens", "complexity", "parameters", "FLOPs", "time", "why")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "why" else "right")
    seconds = 0.0
    ends = [stage.step for stage in stages[1:]] + [steps]
    for number, (stage, end) in enumerate(zip(stages, ends, strict=True)):
        progress = stage.progress
        table.add_row(
            str(number + 1),
            f"{stage.step:,}",
            f"{progress.words:,.0f}",
            f"{progress.tokens:,}",
            f"{progress.complexity:.3f}",
            f"{stage.parameters:,}",
            f"{stage.flops:.3g}",
            _duration(seconds),
            escape(stage.reason),
        )
        seconds += (end - stage.step) * _seconds_per_step(run, number)
    last, size = run.progress(steps), stages[-1]
    flops = size.flops + (steps - size.step) * run.config.tokens_per_step * size.flops_per_token
    table.add_section()
    end_row = (f"{steps:,}", f"{last.words:,.0f}", f"{last.tokens:,}", f"{last.complexity:.3f}")
    table.add_row("end", *end_row, f"{size.parameters:,}", f"{flops:.3g}", _duration(seconds), "")
    return _as_text(table) + "\n".join(_notes(run, stages)) + "\n"


def _as_text(table: Table) -> str:
    text = io.StringIO()
    Console(width=150, file=text).print(table)
    return text.getvalue()


def _notes(run: PreparedRun, stages: list) -> list[str]:
    plan, corpus = run.plan, run.corpus
    notes = [
        f"Complexity is {corpus.measure} in {corpus.measure_unit}. The plan reads {plan.unique_documents:,} documents "
        f"with {plan.unique_words:,.0f} words, {plan.epochs:.2f} epochs of them.",
        "Time is an estimate from a short measurement of one layer on this machine.",
    ]
    if run.growth is None:
        no_section = run.config.growth is None
        reason = "the config has no growth section" if no_section else "there is no operator for its type"
        notes.append(f"The model keeps its size: {reason}.")
    elif len(stages) <= run.growth.trigger.events:
        missing = run.growth.trigger.events - len(stages) + 1
        notes.append(f"Note: {missing} of {run.growth.trigger.events} growth events never come; lower their levels.")
    warnings = [_schedule_warning(run, stage.step) for stage in stages[1:]]
    return notes + [f"Note: {warning}." for warning in warnings if warning]
