"""Trains tiny models in one layout after the other and writes what every rank saw; run by test_parallel_equivalence.py.

    python parallel_training.py FOLDER

reads FOLDER/jobs.json, {name: {"processes": number, "config": content of a run's YAML}}, and leaves FOLDER/NAME with
rank-N.pt, a `Recording`, and rank-N.txt, what the process printed. Nanotron is imported once: the processes of a job
are forks of this one, and share nothing else.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from tests.support.free_ports import free_port
from tests.support.recordings import Part, Recording
from tokenformer.trainer import bootstrap

bootstrap()
from nanotron.trainer import DistributedTrainer  # noqa: E402 (only after bootstrap)

from tokenformer.config.building import build  # noqa: E402
from tokenformer.config.sections import RunConfig  # noqa: E402
from tokenformer.model.config import TokenformerConfig  # noqa: E402
from tokenformer.trainer.bridge.cpu_host import ensure_process_group  # noqa: E402
from tokenformer.trainer.bridge.nanotron_config import as_nanotron_yaml  # noqa: E402
from tokenformer.trainer.bridge.parameter_groups import grouped_parameters  # noqa: E402
from tokenformer.trainer.loop.batches import training_batches  # noqa: E402

SECONDS_ALLOWED = 60


def part_of(param, tensor: torch.Tensor) -> Part:
    """By Nanotron's own record of how a parameter is sharded."""
    tensor = tensor.detach().clone()
    if not param.is_sharded:
        return Part(tensor, [((...,), (...,))], tuple(tensor.shape))
    info = param.get_sharded_info()
    slices = [(pair.local_slices, pair.global_slices) for pair in info.local_global_slices_pairs]
    return Part(tensor, slices, tuple(int(size) for size in info.unsharded_shape))


class RecordingTrainer(DistributedTrainer):
    """Nanotron's trainer, which writes nothing but a recording."""

    def post_init(self):
        self.recording = Recording()
        self.optimizer.get_base_optimizer().register_step_pre_hook(lambda *_: self._record_gradients())

    def _named_parameters(self):
        return self.unwrapped_model.get_named_params_with_correct_tied()

    def _record_gradients(self):
        if not self.recording.gradients:
            self.recording.gradients = {name: part_of(param, param.grad) for name, param in self._named_parameters()}

    def pre_training(self, *args, **kwargs):
        """Nanotron's own would log in to wandb."""

    def train_step_logs(self, outputs, loss_avg):
        if loss_avg is not None:
            self.recording.losses.append(loss_avg.item())
        self.recording.gradient_norms.append(self.grad_norm_unclipped.item())

    def post_training(self):
        self.recording.weights = {name: part_of(param, param) for name, param in self._named_parameters()}


def samples(config: RunConfig, vocabulary: int) -> list[dict[str, np.ndarray]]:
    """Random tokens for all steps, the same in every layout."""
    count = config.global_batch_size * config.tokens.train_steps
    tokens = np.random.default_rng(0).integers(vocabulary, size=(count, config.tokens.sequence_length + 1))
    return [{"input_ids": sample} for sample in tokens]


def train(content: dict) -> Recording:
    """Trains a model in this process, which is one of the layout's."""
    config = build(content, RunConfig, "", "jobs.json")
    model = build(config.model.model_config, TokenformerConfig, "", "jobs.json")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nanotron.yaml")
        path.write_text(as_nanotron_yaml(config, model), encoding="utf-8")
        with grouped_parameters(config.optimizer, dict):
            trainer = RecordingTrainer(str(path))
    ranks = trainer.unwrapped_model.input_pp_rank, trainer.unwrapped_model.output_pp_rank
    trainer.train(training_batches(config, samples(config, model.vocab_size), trainer.parallel_context, *ranks, 0))
    return trainer.recording


def run_rank(rank: int, port: int, job: dict, folder: Path) -> None:
    """The life of one process of a job."""
    with open(folder / f"rank-{rank}.txt", "w") as printed:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(printed.fileno(), stream.fileno())
    torch.set_num_threads(1)
    group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": job["processes"]}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in (group | address).items()})
    ensure_process_group()
    torch.save(train(job["config"]), folder / f"rank-{rank}.pt")
    torch.distributed.destroy_process_group()


def run_job(job: dict, folder: Path) -> None:
    """Runs the processes of a job to their end; when one fails, or time is up, the others are killed."""
    folder.mkdir(parents=True)
    port, forks = free_port(), multiprocessing.get_context("fork")
    ranks = [forks.Process(target=run_rank, args=(rank, port, job, folder)) for rank in range(job["processes"])]
    for process in ranks:
        process.start()
    deadline = time.monotonic() + SECONDS_ALLOWED
    while any(process.is_alive() for process in ranks):
        if any(process.exitcode for process in ranks) or time.monotonic() > deadline:
            for process in ranks:
                process.kill()
        time.sleep(0.02)


if __name__ == "__main__":
    here = Path(sys.argv[1])
    for name, job in json.loads((here / "jobs.json").read_text()).items():
        run_job(job, here / name)
