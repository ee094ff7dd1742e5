"""Adam's moments, and the fp32 copies of 16-bit weights, in a checkpoint of any layout.

Nanotron writes a file for each pipeline stage and tensor-parallel rank, and with ZeRO-1 for each replica. What belongs
to a parameter stands in it under a number, and which number in the table `names`. A stage's files hold the parameters
of that stage, a tied one in several; a replica's, with ZeRO-1, one slice of each flattened shard. The slices follow one
another in the order of the replicas, and a small parameter has none on the last ones. (Nanotron records their ends in
`optimizer_config.json`, but of the first stage's parameters alone.)
"""

import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from tokenformer.errors import UserError

RECORD = "optimizer_config.json"
SHARDED_TYPE = "ZeroDistributedOptimizer"


@dataclass(frozen=True)
class OptimizerLayout:
    """Sizes of the layout that wrote an optimizer; `dp` is 1 if the replicas do not share it."""

    pp: int
    dp: int
    tp: int
    is_sharded: bool

    @classmethod
    def read(cls, record: Path) -> "OptimizerLayout":
        try:
            content = json.loads(record.read_text(encoding="utf-8"))
            pp, dp, tp = (int(content["parallelism"][f"{key}_size"]) for key in ("pp", "dp", "tp"))
            is_sharded = content["type"] == SHARDED_TYPE
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{record}, which records the checkpoint's layout, cannot be read: {error}") from error
        return cls(pp, dp if is_sharded else 1, tp, is_sharded)

    def file_name(self, pp: int, dp: int, tp: int) -> str:
        replica = f"_dp-{dp}-of-{self.dp}" if self.is_sharded else ""
        return f"optimizer_pp-{pp}-of-{self.pp}{replica}_tp-{tp}-of-{self.tp}_exp-0-of-1.pt"


@dataclass(frozen=True)
class OptimizerFile:
    """The moments in one file, by parameter; the tensors are read from the disk when they are used."""

    moments: dict[str, dict[str, torch.Tensor]]
    masters: dict[str, torch.Tensor]


class StoredOptimizer:
    """The `optimizer` folder of a checkpoint.

    Raises, when made:
        UserError: a file is missing or damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.layout = layout = OptimizerLayout.read(folder / RECORD)
        self._files = {
            ranks: _opened(folder / layout.file_name(*ranks))
            for ranks in product(range(layout.pp), range(layout.dp), range(layout.tp))
        }

    @property
    def names(self) -> set[str]:
        """Parameters that Adam has updated: none before the first step."""
        return {name for file in self._files.values() for name in file.moments}

    @property
    def has_masters(self) -> bool:
        return any(file.masters for file in self._files.values())

    def moments(self, name: str, key: str) -> list[torch.Tensor]:
        """`exp_avg` or `exp_avg_sq` of a parameter: a tensor for each tensor-parallel rank, flat if it is sharded."""
        return self._by_tensor_parallel_rank(name, lambda file: file.moments.get(name, {}).get(key))

    def masters(self, name: str) -> list[torch.Tensor]:
        """The fp32 copy of a parameter, as `moments`."""
        return self._by_tensor_parallel_rank(name, lambda file: file.masters.get(name))

    def step(self, name: str) -> torch.Tensor:
        """Adam's count of updates of a parameter, the same in every file."""
        return next(file.moments[name]["step"] for file in self._files.values() if name in file.moments).clone()

    def _by_tensor_parallel_rank(self, name: str, part_of) -> list[torch.Tensor]:
        shards = []
        for tp in range(self.layout.tp):
            parts = next(filter(None, self._slices(tp, part_of)), None)
            if parts is None:
                raise UserError(f"{self.folder} holds nothing of {name}, or not of every shard")
            shards.append(torch.cat([part.reshape(-1) for part in parts]))
        return shards

    def _slices(self, tp: int, part_of) -> Iterator[list[torch.Tensor]]:
        """Yields for each pipeline stage the parts that its replicas hold."""
        for pp in range(self.layout.pp):
            parts = (part_of(self._files[pp, dp, tp]) for dp in range(self.layout.dp))
            yield [part for part in parts if part is not None]


def _opened(path: Path) -> OptimizerFile:
    if not path.exists():
        raise UserError(f"{path}, a part of the optimizer, is missing")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        moments = {name: content["state"][number] for number, name in content["names"].items()}
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is damaged or was not copied whole: {_first_line(error)}") from error
    return OptimizerFile(moments, content.get("gradient_accumulator", {}))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
