"""Two and four processes compute what one process computes, in every layout: losses, each gradient, gradient norm."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tests.support.model_sizes import tokenformer_sizes
from tests.support.places import PROGRAMS, REPOSITORY
from tests.support.recordings import Recording
from tokenformer.model.config import TokenSegment

STEPS, GLOBAL_BATCH = 5, 8
# Sums over a batch or over parameter tokens are taken in another order, which changes the last bits of fp32.
TOLERANCE = 1e-5

SIZES = tokenformer_sizes(32, 2, 4, tokens=(16, 24, 40), vocabulary=48, positions=16) | {"is_tokenformer_config": True}
GROWN = [asdict(TokenSegment(16, 4.0)), asdict(TokenSegment(8, 2.5))]
MODELS = {
    # What layouts can get wrong: parameters that every shard holds whole (norms, tau), shared heads, the embedding that
    # is the head, segments that are sharded apart, and a mask that travels with the hidden states.
    "grown, tied": {
        **SIZES,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "qkv_tokens": GROWN,
        "feed_forward_tokens": GROWN,
        "tau": "learned",
        "block_norm_affine": True,
        "document_mask": True,
        "eos_token_id": 0,
        "tie_word_embeddings": True,
    },
    "linear and SwiGLU, untied": {
        **SIZES,
        "qkv_layer": "linear",
        "feed_forward_layer": "swiglu",
        "swiglu_width": 48,
        "theta": "softmax",
        "block_norm": "rms_norm",
        "block_norm_affine": True,
        "final_norm": "rms_norm",
        "tie_word_embeddings": False,
    },
    "gelu before the norm, tied": {
        **SIZES,
        "output_layer": "linear",
        "theta": "gelu_l2_norm",
        "tie_word_embeddings": True,
    },
}

LAYOUTS = {
    "tp 2": {"tp": 2},
    "tp 2, reduce-scatter": {"tp": 2, "tp_mode": "REDUCE_SCATTER"},
    "pp 2": {"pp": 2},
    "dp 2, ZeRO-1": {"dp": 2, "zero_stage": 1},
    "tp 2 x pp 2": {"tp": 2, "pp": 2},
    "dp 2 x pp 2": {"dp": 2, "pp": 2},
    "dp 2 x tp 2, ZeRO-1, reduce-scatter": {"dp": 2, "tp": 2, "tp_mode": "REDUCE_SCATTER", "zero_stage": 1},
}
RARE_LAYOUTS = {
    "dp 2": {"dp": 2},
    "tp 4": {"tp": 4},
    "dp 2 x tp 2": {"dp": 2, "tp": 2},
    "pp 2, all forward all backward": {"pp": 2, "pp_engine": "afab"},
    "dp 4, ZeRO-1": {"dp": 4, "zero_stage": 1},
    "dp 2 x pp 2, ZeRO-1": {"dp": 2, "pp": 2, "zero_stage": 1},
    "tp 2 x pp 2, reduce-scatter": {"tp": 2, "pp": 2, "tp_mode": "REDUCE_SCATTER"},
    "tp 4, reduce-scatter": {"tp": 4, "tp_mode": "REDUCE_SCATTER"},
}
BOTH = [*LAYOUTS, *(pytest.param(name, marks=pytest.mark.slow) for name in RARE_LAYOUTS)]


def content(layout: dict, model: dict) -> dict:
    """The config of a run of 5 steps with a global batch of 8 samples, as `RunConfig` reads it.

    A batch comes in microbatches where replicas accumulate them or pipeline stages pass them on, and whole elsewhere.
    """
    parallelism = dict(layout)
    zero_stage = parallelism.pop("zero_stage", 0)
    replicas = parallelism.get("dp", 1)
    microbatches = 2 if replicas > 1 else 4 if "pp" in parallelism else 1
    schedule = {"learning_rate": 0.01, "lr_warmup_style": "constant", "min_decay_lr": 0.01}
    return {
        "general": {"run": "layout", "seed": 5, "ignore_sanity_checks": False},
        "parallelism": parallelism,
        "model": {"init_method": {"std": 0.18}, "model_config": model},
        "checkpoints": {"checkpoint_interval": 10 * STEPS, "checkpoints_path": "never-written"},
        "logging": {"log_level": "error", "log_level_replica": "error"},
        "tokens": {
            "sequence_length": 16,
            "train_steps": STEPS,
            "micro_batch_size": GLOBAL_BATCH // replicas // microbatches,
            "batch_accumulation_per_replica": microbatches,
        },
        "optimizer": {"zero_stage": zero_stage, "learning_rate_scheduler": schedule},
        "data_stages": [{"name": "random tokens", "data": {"dataset": {"dataset_folder": "none"}}}],
    }


def processes(layout: dict) -> int:
    return layout.get("dp", 1) * layout.get("tp", 1) * layout.get("pp", 1)


def train_in(layouts: dict[str, dict], folder: Path) -> Path:
    """Trains every model in the layouts, one after the other, in processes of their own; gives the folder back."""
    jobs = {
        f"{name}/{model}": {"processes": processes(layout), "config": content(layout, MODELS[model])}
        for name, layout in layouts.items()
        for model in MODELS
    }
    (folder / "jobs.json").write_text(json.dumps(jobs))
    worker = PROGRAMS / "parallel_training.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    done = subprocess.run(
        [sys.executable, worker, folder], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return train_in({"one process": {}, **LAYOUTS}, tmp_path_factory.mktemp("layouts"))


@pytest.fixture(scope="module")
def rarely_trained(tmp_path_factory) -> Path:
    return train_in(RARE_LAYOUTS, tmp_path_factory.mktemp("rare-layouts"))


def recordings(folder: Path, layout: dict) -> list[Recording]:
    """What each rank recorded; fails with what the processes printed when one of them did not come to its end."""
    files = [folder / f"rank-{rank}.pt" for rank in range(processes(layout))]
    if not all(path.exists() for path in files):
        printed = [path.with_suffix(".txt") for path in files]
        pytest.fail("\n".join(f"--- {path.stem}\n{path.read_text()[-2000:]}" for path in printed if path.exists()))
    return [torch.load(path, weights_only=False) for path in files]


@pytest.fixture(params=MODELS)
def model(request) -> str:
    return request.param


@pytest.fixture
def one_process(trained, model) -> Recording:
    return recordings(trained / "one process" / model, {})[0]


@pytest.fixture(params=BOTH)
def ranks(request, model) -> list[Recording]:
    """What each rank of a layout recorded."""
    name = request.param
    folder = request.getfixturevalue("trained" if name in LAYOUTS else "rarely_trained")
    return recordings(folder / name / model, {**LAYOUTS, **RARE_LAYOUTS}[name])


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, in multiples of the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def test_losses_are_those_of_one_process(ranks, one_process):
    expected = one_process.losses
    assert len(expected) == STEPS and max(expected) - min(expected) > 0.05
    knowing = [rank.losses for rank in ranks if rank.losses]
    assert knowing
    for losses in knowing:
        assert losses == pytest.approx(expected, rel=TOLERANCE)


def test_every_gradient_is_that_of_one_process(ranks, one_process):
    whole = {name: part.tensor for name, part in one_process.gradients.items()}
    seen = {name: torch.zeros(tensor.shape, dtype=torch.bool) for name, tensor in whole.items()}
    wrong = {}
    for number, rank in enumerate(ranks):
        for name, part in rank.gradients.items():
            assert part.whole_shape == whole[name].shape
            for local, place in part.slices:
                seen[name][place] = True
                assert whole[name][place].any(), f"{name} has no gradient here, which proves nothing"
                difference = relative_difference(part.tensor[local], whole[name][place])
                if not difference <= TOLERANCE:
                    wrong[f"{name} on rank {number}"] = difference
    assert [name for name, mask in seen.items() if not mask.all()] == []
    assert wrong == {}


def test_the_gradient_norm_is_that_of_one_process_on_every_rank(ranks, one_process):
    expected = one_process.gradient_norms
    assert len(expected) == STEPS and max(expected) > 1.0, "nothing was clipped"
    for rank in ranks:
        assert rank.gradient_norms == pytest.approx(expected, rel=TOLERANCE)


def test_copies_of_a_weight_are_bitwise_equal_in_the_end(ranks):
    """Those of replicas, those of a tied embedding on two pipeline stages, and what every shard holds whole."""
    first, apart = {}, []
    for number, rank in enumerate(ranks):
        for name, part in rank.weights.items():
            for local, place in part.slices:
                other = first.setdefault((name, str(place)), part.tensor[local])
                if not torch.equal(part.tensor[local], other):
                    apart.append(f"{name} on rank {number}")
    assert apart == []


def test_a_tied_embedding_has_a_copy_on_both_pipeline_stages(trained, model):
    """So the test above has something to compare."""
    name = "model.token_position_embeddings.pp_block.token_embedding.weight"
    holders = [name in rank.weights for rank in recordings(trained / "pp 2" / model, LAYOUTS["pp 2"])]
    assert holders == [True, model.endswith(", tied")]


def test_one_process_holds_every_weight_whole(one_process):
    """So it can be what the layouts are compared with."""
    assert one_process.weights.keys() == one_process.gradients.keys()
    for part in one_process.weights.values():
        assert part.tensor.shape == part.whole_shape
