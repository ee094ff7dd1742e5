"""Tokens a second of a training step: ours under Nanotron, a plain eager Tokenformer, and Nanotron's Llama.

    python -m benchmarks.train_step [--hidden 256] [--dtypes float32 bfloat16] [--threads 1 2] [--processes 1 2]

Every measurement is a process of its own; the three models, of equal FLOPs, take turns, each several times. The median
is printed, with the ratio to the plain model of the same dtype, threads and processes, and where the time goes in
milliseconds: forward, backward (with the sum over data-parallel processes), gradients (clipping, tied weights),
optimizer, and the rest, which for ours and Llama is reading data, the schedule and the log.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from benchmarks.measuring.step_clock import PHASES, StepClock
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.flops import tokenformer_size

VOCABULARY, LENGTH, BATCH, STEPS, WARMUP = 1024, 128, 16, 14, 4
MODELS = ("plain", "tokenformer", "llama")


def model_blocks(hidden: int) -> dict[str, dict]:
    """`model_config` blocks of a Tokenformer and of the Llama with the same FLOPs a token."""
    heads = hidden // 32
    shared = {
        "hidden_size": hidden,
        "num_hidden_layers": 4,
        "num_attention_heads": heads,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": LENGTH,
        "tie_word_embeddings": True,
    }
    tokens = {"qkv_tokens": hidden // 2, "output_tokens": hidden // 2, "feed_forward_tokens": 4 * hidden}
    tokenformer = {"is_tokenformer_config": True, "rotary_fraction": 1.0, **shared, **tokens}
    per_block = tokenformer_size(TokenformerConfig(**tokenformer)).block_matrix_parameters // 4
    width = (per_block - 4 * hidden * hidden) // (3 * hidden)
    return {"tokenformer": tokenformer, "llama": {"is_llama_config": True, "intermediate_size": width, **shared}}


def write_corpus(folder: Path) -> Path:
    """Random words, enough for every step."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghij"), size=4)) for _ in range(800)]
    lines = [" ".join(generator.choice(words, size=120)) for _ in range(1200)]
    (folder / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    source = InputSource.parse(str(folder / "text.txt"))
    options = {"unit": "line", "measure": "lix", "vocabulary_size": VOCABULARY, "validation_share": 0.01}
    prepare_corpus(PrepareOptions(inputs=[source], output=folder / "corpus", **options))
    return folder / "corpus"


def run_config(folder: Path, block: dict, dtype: str, processes: int) -> Path:
    config = {
        "general": {"run": "run", "runs_folder": str(folder)},
        "parallelism": {"dp": processes},
        "model": {"model_config": block, "dtype": dtype},
        "checkpoints": {"checkpoint_interval": 10**6},
        "tokens": {"sequence_length": LENGTH, "micro_batch_size": BATCH // processes, "train_steps": STEPS},
        "optimizer": {
            "learning_rate_scheduler": {"learning_rate": 1e-3},
            "accumulate_grad_in_fp32": dtype != "float32",
        },
        "data_stages": [{"name": "text", "data": {"dataset": {"dataset_folder": str(folder.parent / "corpus")}}}],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def launch(command: list[str], processes: int, threads: int) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    subprocess.run([sys.executable, *launcher, "-m", *command], env=environment, check=True, stderr=subprocess.DEVNULL)


def milliseconds_of(
    model: str, folder: Path, blocks: dict, dtype: str, processes: int, threads: int
) -> dict[str, float]:
    """Median milliseconds of a step and of its phases, measured in processes of their own."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        result = Path(name) / "result.json"
        arguments = ["benchmarks.train_step", "--dtypes", dtype, "--result", str(result)]
        if model == "plain":
            arguments += ["--plain", json.dumps(blocks["tokenformer"])]
        else:
            arguments += ["--nanotron", str(run_config(Path(name), blocks[model], dtype, processes))]
        launch(arguments, processes, threads)
        return json.loads(result.read_text(encoding="utf-8"))


def measure_plain(block: dict, dtype: str) -> StepClock:
    """Trains the plain model in this process, under DistributedDataParallel where there are several."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    from benchmarks.measuring.plain_tokenformer import PlainTokenformer

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(0)
    model = PlainTokenformer(TokenformerConfig(**block)).to(getattr(torch, dtype))
    if processes > 1:
        torch.distributed.init_process_group("gloo")
        model = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    clock = StepClock()
    forward = clock.timed("forward", model)
    backward = clock.timed("backward", torch.Tensor.backward)
    clip = clock.timed("gradients", torch.nn.utils.clip_grad_norm_)
    update, clear = clock.timed("optimizer", optimizer.step), clock.timed("optimizer", optimizer.zero_grad)
    clock.step_ends()
    for tokens in torch.randint(0, VOCABULARY, (STEPS, BATCH // processes, LENGTH + 1)):
        backward(forward(tokens[:, :-1], tokens[:, 1:].contiguous()))
        clip(model.parameters(), 1.0)
        update()
        clear()
        clock.step_ends()
    return clock


def measure_nanotron(config: Path) -> StepClock:
    """Trains a run in this process, as `tokenformer train` does."""
    from tokenformer.trainer.bridge.bootstrap import bootstrap

    bootstrap()
    import nanotron.trainer as nanotron_trainer
    from nanotron.parallel.pipeline_parallel.engine import PipelineEngine

    from tokenformer.trainer.loop.trainer import TokenformerTrainer, train
    from tokenformer.trainer.run.prepared_run import PreparedRun
    from tokenformer.trainer.run.start import starting_point

    clock = StepClock()
    PipelineEngine.forward = clock.timed("forward", PipelineEngine.forward)
    PipelineEngine.backward = clock.timed("backward", PipelineEngine.backward)
    nanotron_trainer.sync_tied_weights_gradients = clock.timed(
        "gradients", nanotron_trainer.sync_tied_weights_gradients
    )
    nanotron_trainer.clip_grad_norm = clock.timed("gradients", nanotron_trainer.clip_grad_norm)
    log, prepare = TokenformerTrainer.train_step_logs, TokenformerTrainer.pre_training

    def log_and_count(trainer, *arguments, **options):
        log(trainer, *arguments, **options)
        clock.step_ends()

    def watch_optimizer(trainer):
        prepare(trainer)
        optimizer = trainer.optimizer
        optimizer.step = clock.timed("optimizer", optimizer.step)
        optimizer.zero_grad = clock.timed("optimizer", optimizer.zero_grad)
        clock.step_ends()

    TokenformerTrainer.train_step_logs = log_and_count
    TokenformerTrainer.pre_training = watch_optimizer
    run = PreparedRun.from_file(config)
    train(run, starting_point(run))
    return clock


def measure(arguments: argparse.Namespace) -> None:
    """Prints a table with a row a dtype, number of processes, number of threads and model."""
    blocks = model_blocks(arguments.hidden)
    print(
        f"hidden {arguments.hidden}, {BATCH * LENGTH} tokens a step, {os.cpu_count()} cores; median milliseconds a step"
    )
    columns = "".join(f"{phase:>11}" for phase in (*PHASES, "rest"))
    print(
        f"{'dtype':<10}{'processes':>10}{'threads':>9}  {'model':<12}{'ms':>9}{'tokens/s':>10}{'of plain':>10}{columns}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder)
        for dtype in arguments.dtypes:
            for processes in arguments.processes:
                for threads in arguments.threads:
                    settings = dtype, processes, threads
                    found = {model: [] for model in MODELS}
                    for _ in range(arguments.repetitions):
                        for model in MODELS:
                            found[model].append(milliseconds_of(model, folder, blocks, *settings))
                    _print_rows(settings, {model: _medians(values) for model, values in found.items()})


def _medians(repetitions: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in repetitions) for name in repetitions[0]}


def _print_rows(settings: tuple[str, int, int], found: dict[str, dict[str, float]]) -> None:
    dtype, processes, threads = settings
    for model, times in found.items():
        speed, ratio = BATCH * LENGTH / times["step"] * 1000, found["plain"]["step"] / times["step"]
        row = f"{dtype:<10}{processes:>10}{threads:>9}  {model:<12}{times['step']:>9.1f}{speed:>10,.0f}{ratio:>10.2f}"
        print(row + "".join(f"{times[phase]:>11.1f}" for phase in (*PHASES, "rest")), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    parser.add_argument("--nanotron", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.result:
        measure(arguments)
        return
    if arguments.plain:
        clock = measure_plain(json.loads(arguments.plain), arguments.dtypes[0])
    else:
        clock = measure_nanotron(arguments.nanotron)
    if os.environ.get("RANK", "0") == "0":
        arguments.result.write_text(json.dumps(clock.milliseconds(WARMUP)), encoding="utf-8")


if __name__ == "__main__":
    main()
