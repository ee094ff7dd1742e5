"""`bootstrap` makes Nanotron importable and changes nothing else."""

import pytest

from tests.support.training.launching import run_python

WATCH_AND_BOOTSTRAP = """
import sys
import torch
import torch.cuda
import torch.distributed
import torch.nn.functional

def functions(module):
    return {name: value for name, value in vars(module).items() if callable(value)}

watched = [torch, torch.cuda, torch.distributed, torch.nn.functional, torch.Tensor, torch.nn.Module]
before = [functions(module) for module in watched]

from tokenformer.trainer import bootstrap
first = bootstrap()
second = bootstrap()
import nanotron.trainer
third = bootstrap()

assert first == second == third
assert [type(finder).__name__ for finder in sys.meta_path].count("RepairingFinder") == 1, sys.meta_path
for module, old in zip(watched, before):
    changed = [name for name, value in old.items() if vars(module).get(name) is not value]
    assert changed == [], (module, changed)
assert not any(name.split(".")[0] == "flash_attn" for name in sys.modules)
"""


def test_it_is_idempotent_and_leaves_torch_and_flash_attention_alone():
    done = run_python(["-c", WATCH_AND_BOOTSTRAP])
    assert done.returncode == 0, done.stderr


def test_nanotron_alone_cannot_be_imported_and_is_after_a_failed_try():
    """Without this the repairs would be needless."""
    program = """
try:
    import nanotron.trainer
except ImportError:
    pass
else:
    raise SystemExit("nanotron 0.4 imports by itself: the repair of its import circle can go")
from tokenformer.trainer import bootstrap
bootstrap()
import nanotron.trainer
print(nanotron.trainer.DistributedTrainer.__name__)
"""
    done = run_python(["-c", program])
    assert (done.returncode, done.stdout) == (0, "DistributedTrainer\n"), done.stderr


@pytest.fixture(scope="module")
def report():
    from tokenformer.trainer import bootstrap

    return bootstrap()


def test_the_report_says_what_was_found_and_repaired(report):
    import importlib.util

    import torch

    on_cpu = not torch.cuda.is_available()
    assert (report.device, report.backend) == (("cpu", "gloo") if on_cpu else ("cuda", "nccl"))
    without_flash_attention = importlib.util.find_spec("flash_attn") is None
    assert (report.attention == "flash-attn") is not without_flash_attention
    assert len(set(report.repairs)) == 6 + 2 * on_cpu + without_flash_attention
    assert report.needless == ()


def test_nanotron_knows_the_model_class(report):
    from nanotron.models.llama import LlamaForTraining
    from nanotron.trainer import CONFIG_TO_MODEL_CLASS

    from tokenformer.model.model import TokenformerForTraining

    assert CONFIG_TO_MODEL_CLASS["TokenformerConfig"] is TokenformerForTraining
    assert CONFIG_TO_MODEL_CLASS["LlamaConfig"] is LlamaForTraining


def test_without_nanotron_the_error_says_what_to_install(monkeypatch):
    from tokenformer.errors import UserError
    from tokenformer.trainer import bootstrap as public
    from tokenformer.trainer.bridge.bootstrap import _found

    monkeypatch.setitem(
        public.__wrapped__.__globals__, "_found", lambda package: package != "nanotron" and _found(package)
    )
    with pytest.raises(UserError, match="pip install nanotron==0.4"):
        public.__wrapped__()


def test_an_unknown_use_of_cuda_fails_and_is_not_ignored():
    from tokenformer.trainer.bridge.cpu_host import accelerator

    assert not accelerator.is_available()
    assert accelerator.memory_allocated() == 0
    accelerator.synchronize()
    with pytest.raises(AttributeError, match="torch.cuda.Stream"):
        accelerator.Stream()
