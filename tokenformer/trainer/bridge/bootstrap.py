"""Makes Nanotron importable on this machine and registers the Tokenformer with it."""

import importlib.util
from dataclasses import dataclass
from functools import cache

from tokenformer.devices import default_device
from tokenformer.errors import UserError
from tokenformer.trainer.bridge import import_repair
from tokenformer.trainer.bridge.cpu_host import COLLECTIVES, mend_collectives
from tokenformer.trainer.bridge.repairs import cannot_repair


@dataclass(frozen=True)
class BootstrapReport:
    """The findings and the repairs of `bootstrap`."""

    device: str  # "cuda" or "cpu"
    backend: str  # "nccl" or "gloo"
    attention: str  # which implementation Nanotron's modules call
    repairs: tuple[str, ...]  # those made
    needless: tuple[str, ...]  # those for which this Nanotron has no need


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@cache
def bootstrap() -> BootstrapReport:
    """Repairs the import of Nanotron, once a process, and registers the Tokenformer as a Nanotron model type.

    Nothing of `torch`, and nothing on disk, is changed. With CUDA and flash-attn neither the device nor the attention
    is touched.

    Raises:
        UserError: Nanotron is not installed, or it looks otherwise than a needed repair expects.
    """
    if not _found("nanotron"):
        raise UserError("training needs Nanotron: pip install nanotron==0.4")
    on_cpu = default_device() == "cpu"
    without_flash_attention = not _found("flash_attn")
    repairs = import_repair.Repairs(cpu_device=on_cpu, flash_attention=without_flash_attention)
    import_repair.install(repairs)
    if on_cpu:
        from nanotron import distributed

        mend_collectives(distributed)
    from tokenformer.trainer.bridge import registry

    registry.register_model_types()  # first: it imports Nanotron's modules in an order that ends in no circle
    from tokenformer.trainer.bridge import checkpoint_bars, llama_weights, parameter_groups

    llama_weights.draw_whole_tensors()
    checkpoint_bars.silence_checkpoint_bars()
    parameter_groups.check_place()
    made = [module.REPAIR for module in (registry, llama_weights, checkpoint_bars, parameter_groups)]
    made += [COLLECTIVES] if on_cpu else []
    for needed, repair in (
        (on_cpu, import_repair.CPU_DEVICE),
        (without_flash_attention, import_repair.FLASH_ATTENTION),
    ):
        if needed and not repairs.mended[repair]:
            raise cannot_repair(repair, "none of its modules has a place for it")
    return BootstrapReport(
        device="cpu" if on_cpu else "cuda",
        backend="gloo" if on_cpu else "nccl",
        attention="scaled_dot_product_attention" if without_flash_attention else "flash-attn",
        repairs=(*(repair for repair, places in repairs.mended.items() if places), *made),
        needless=tuple(repair for repair, places in repairs.mended.items() if not places),
    )
