"""Makes Nanotron importable on this machine and registers the Tokenformer with it."""

import importlib.util
from dataclasses import dataclass
from functools import cache

from tokenformer.devices import default_device
from tokenformer.errors import UserError
from tokenformer.trainer.bridge import import_repair
from tokenformer.trainer.bridge.cpu_host import mend_collectives


@dataclass(frozen=True)
class BootstrapReport:
    """The findings and the repairs of `bootstrap`."""

    device: str  # "cuda" or "cpu"
    backend: str  # "nccl" or "gloo"
    attention: str  # which implementation Nanotron's modules call
    repairs: tuple[str, ...]


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@cache
def bootstrap() -> BootstrapReport:
    """Repairs the import of Nanotron, once a process, and registers the Tokenformer as a Nanotron model type.

    Nothing of `torch`, and nothing on disk, is changed. With CUDA and flash-attn only the import circle of release 0.4
    and its Llama's lack of `rope_theta` are mended.

    Raises:
        UserError: Nanotron is not installed.
    """
    if not _found("nanotron"):
        raise UserError("training needs Nanotron: pip install nanotron==0.4")
    on_cpu = default_device() == "cpu"
    without_flash_attention = not _found("flash_attn")
    import_repair.install(import_repair.Repairs(cpu_device=on_cpu, flash_attention=without_flash_attention))
    if on_cpu:
        from nanotron import distributed

        mend_collectives(distributed)
    from tokenformer.trainer.bridge.registry import register_model_types

    register_model_types()
    from tokenformer.trainer.bridge.llama_weights import draw_whole_tensors

    draw_whole_tensors()
    repairs = ["import circle of nanotron.logging", "rope_theta in Nanotron's Llama"]
    repairs.append("random weights of Nanotron's Llama are drawn whole, the same in every layout")
    if on_cpu:
        repairs.append("device 'cuda' in Nanotron's modules became 'cpu'")
        repairs.append("collectives on parameters, and of uneven sizes, take a way that gloo can go")
    if without_flash_attention:
        repairs.append("flash-attn, which is not installed, is replaced by torch's scaled_dot_product_attention")
    return BootstrapReport(
        device="cpu" if on_cpu else "cuda",
        backend="gloo" if on_cpu else "nccl",
        attention="scaled_dot_product_attention" if without_flash_attention else "flash-attn",
        repairs=tuple(repairs),
    )
