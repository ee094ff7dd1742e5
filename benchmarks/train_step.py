"""Tokens a second of a training step: ours under Nanotron, a plain eager Tokenformer, and Nanotron's Llama.

    python -m benchmarks.train_step [--hidden 256] [--dtypes float32 bfloat16] [--threads 1 2] [--processes 1 2]

Every measurement is a process of its own; the three models, of equal FLOPs, take turns, each several times. The median
is printed, with the ratio to the plain model of the same dtype, threads and processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

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


def nanotron_milliseconds(folder: Path, block: dict, dtype: str, processes: int, threads: int) -> float:
    """Median milliseconds of a step in a real run."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        config = run_config(Path(name), block, dtype, processes)
        launch(["tokenformer", "train", str(config)], processes, threads)
        lines = [json.loads(line) for line in (Path(name) / "run" / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["time_per_iteration_ms"] for line in lines if line["iteration_step"] > WARMUP)


def plain_milliseconds(folder: Path, block: dict, dtype: str, processes: int, threads: int) -> float:
    """Median milliseconds of a step of the plain model, under DistributedDataParallel when there are two processes."""
    result = folder / "plain.json"
    arguments = ["--plain", json.dumps(block), "--dtypes", dtype, "--result", str(result)]
    launch(["benchmarks.train_step", *arguments], processes, threads)
    return json.loads(result.read_text())


def measure_plain(block: dict, dtype: str, result: Path) -> None:
    """Runs in a process of its own: trains the plain model for STEPS steps and writes the median."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    from benchmarks.plain_tokenformer import PlainTokenformer

    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    torch.manual_seed(0)
    model = PlainTokenformer(TokenformerConfig(**block)).to(getattr(torch, dtype))
    if processes > 1:
        torch.distributed.init_process_group("gloo")
        model = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(0, VOCABULARY, (STEPS, BATCH // processes, LENGTH + 1))
    times = []
    for step_tokens in tokens:
        start = time.perf_counter()
        model(step_tokens[:, :-1], step_tokens[:, 1:].contiguous()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(1000 * (time.perf_counter() - start))
    if rank == 0:
        result.write_text(json.dumps(statistics.median(times[WARMUP:])), encoding="utf-8")


def measure(arguments: argparse.Namespace) -> None:
    """Prints a table with a row a dtype, number of processes, number of threads and model."""
    blocks = model_blocks(arguments.hidden)
    print(
        f"hidden {arguments.hidden}, {BATCH * LENGTH} tokens a step, {os.cpu_count()} cores; median milliseconds a step"
    )
    print(f"{'dtype':<10}{'processes':>10}{'threads':>9}  {'model':<12}{'ms':>9}{'tokens/s':>11}{'of plain':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder)
        for dtype in arguments.dtypes:
            for processes in arguments.processes:
                for threads in arguments.threads:
                    settings = dtype, processes, threads
                    times = {model: [] for model in MODELS}
                    for _ in range(arguments.repetitions):
                        times["plain"].append(plain_milliseconds(folder, blocks["tokenformer"], *settings))
                        for model in MODELS[1:]:
                            times[model].append(nanotron_milliseconds(folder, blocks[model], *settings))
                    _print_rows(settings, {model: statistics.median(values) for model, values in times.items()})


def _print_rows(settings: tuple[str, int, int], milliseconds: dict[str, float]) -> None:
    dtype, processes, threads = settings
    for model, value in milliseconds.items():
        speed, ratio = BATCH * LENGTH / value * 1000, milliseconds["plain"] / value
        print(
            f"{dtype:<10}{processes:>10}{threads:>9}  {model:<12}{value:>9.1f}{speed:>11,.0f}{ratio:>10.2f}", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        measure_plain(json.loads(arguments.plain), arguments.dtypes[0], arguments.result)
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
