"""The weights in a checkpoint of any layout, as whole tensors.

Nanotron writes a file for each parameter, in a folder for each module, and for a sharded one a file for each
tensor-parallel rank, in whose header stands which slices of the whole it holds. A tied parameter is written once. Which
pipeline stage wrote a file stands in its name, and does not matter.
"""

import math
import re
from collections.abc import KeysView, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from tokenformer.errors import UserError
from tokenformer.trainer.checkpoint.tensor_shards import is_tiled, join_shards

FILE_NAME = re.compile(r"model_(?P<leaf>\w+?)(_pp-rank-\d+-of-(?P<pp>\d+)_tp-rank-(?P<rank>\d+)-of-(?P<tp>\d+))?")
TENSOR = "data"


@dataclass(frozen=True)
class StoredSlices:
    """`shard[local_slices]` is `whole[global_slices]`."""

    local_slices: tuple[slice, ...]
    global_slices: tuple[slice, ...]


@dataclass(frozen=True)
class WeightFile:
    """The facts in the name and the header of a file.

    Args:
        shape: of the tensor inside.
        rank: which of `ranks` tensor-parallel shards of the parameter it is; 0 of 1 if it is not sharded.
        stages: pipeline stages of the layout, or None if the parameter is not sharded.
        whole_shape: of the parameter.
        pairs: where the tensor inside belongs.
    """

    path: Path
    shape: tuple[int, ...]
    rank: int
    ranks: int
    stages: int | None
    whole_shape: tuple[int, ...]
    pairs: tuple[StoredSlices, ...]


class StoredWeights:
    """The `model` folder of a checkpoint.

    Raises, when made:
        UserError: the folder holds no weights, or a file is missing, damaged or of another layout than its fellows.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._files: dict[str, list[WeightFile]] = {}
        for path in sorted(folder.rglob("*.safetensors")):
            name, file = _described(path, folder)
            self._files.setdefault(name, []).append(file)
        if not self._files:
            raise UserError(f"{folder} holds no weights: it is no part of a checkpoint, or was not copied whole")
        for name, files in self._files.items():
            self._files[name] = _in_order(name, files)

    @property
    def names(self) -> KeysView[str]:
        """Names of all parameters."""
        return self._files.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the whole parameter."""
        return self._files[name][0].whole_shape

    @property
    def elements(self) -> int:
        """Elements of all parameters together."""
        return sum(math.prod(self.shape(name)) for name in self.names)

    def whole(self, name: str) -> torch.Tensor:
        """The whole parameter, on the CPU."""
        return self.joined(name, [_loaded(file.path) for file in self._files[name]])

    def joined(self, name: str, shards: Sequence[torch.Tensor]) -> torch.Tensor:
        """The whole of tensors that are cut as the parameter is, such as its moments.

        Args:
            shards: by tensor-parallel rank, flat or in shape; of a parameter that is not sharded the first is taken,
                since every rank holds it whole.

        Raises:
            UserError: they do not cover the parameter.
        """
        files = self._files[name]
        shards = shards[: len(files)]
        if [shard.numel() for shard in shards] != [math.prod(file.shape) for file in files]:
            sizes = [shard.numel() for shard in shards]
            raise UserError(f"{self.folder.parent}: shards of {sizes} numbers do not cover the parameter {name}")
        parts = [(shard.reshape(file.shape), file.pairs) for shard, file in zip(shards, files, strict=True)]
        try:
            return join_shards(files[0].whole_shape, parts)
        except ValueError as error:
            raise UserError(f"{self.folder.parent}: the shards of {name} do not cover it: {error}") from error


def _described(path: Path, folder: Path) -> tuple[str, WeightFile]:
    """Name of the parameter that the file belongs to, and the file."""
    match = FILE_NAME.fullmatch(path.stem)
    if match is None:
        raise UserError(f"{path} has no name of a file of weights; take it away from the checkpoint")
    name = ".".join((*path.parent.relative_to(folder).parts, match["leaf"]))
    try:
        with safe_open(path, framework="pt") as content:
            shape, header = tuple(content.get_slice(TENSOR).get_shape()), content.metadata() or {}
        if match["tp"] is None:
            everything = tuple(slice(None) for _ in shape)
            return name, WeightFile(path, shape, 0, 1, None, shape, (StoredSlices(everything, everything),))
        pairs = tuple(map(_slices, header["local_global_slices_pairs"].split(";")))
        whole_shape = _shape(header["unsharded_shape"])
        described = [whole_shape, *(part for pair in pairs for part in (pair.local_slices, pair.global_slices))]
        if any(len(dimensions) != len(shape) for dimensions in described):
            raise ValueError("the slices in its header are not those of its tensor")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged or was not copied whole: {error}") from error
    return name, WeightFile(path, shape, int(match["rank"]), int(match["tp"]), int(match["pp"]), whole_shape, pairs)


def _slices(text: str) -> StoredSlices:
    """Reads Nanotron's "0,8,None|None,None,None#16,24,None|None,None,None"."""
    local, separator, whole = text.partition("#")
    if not separator:
        raise ValueError(f"{text!r} is no pair of slices")

    def parsed(part: str) -> tuple[slice, ...]:
        ends = [[None if end == "None" else int(end) for end in one.split(",")] for one in part.split("|")]
        return tuple(slice(*three) for three in ends)

    return StoredSlices(parsed(local), parsed(whole))


def _shape(text: str) -> tuple[int, ...]:
    """Reads "(64, 32)", or "(np.int64(64), 32)" as Nanotron writes it with numpy 2."""
    return tuple(int(size) for size in re.findall(r"(?<![\w.])\d+", text))


def _in_order(name: str, files: list[WeightFile]) -> list[WeightFile]:
    """The files of a parameter by tensor-parallel rank."""
    first = files[0]
    if {(file.ranks, file.stages, file.whole_shape) for file in files} != {
        (first.ranks, first.stages, first.whole_shape)
    }:
        raise UserError(
            f"{first.path.parent} holds {name} in more than one layout: {', '.join(file.path.name for file in files)}; "
            f"keep the files of one"
        )
    by_rank = {file.rank: file for file in files}
    for rank in range(first.ranks):
        if rank not in by_rank:
            missing = re.sub(r"tp-rank-\d+", f"tp-rank-{rank}", first.path.name)
            raise UserError(f"{first.path.with_name(missing)}, a shard of {name}, is missing")
    if len(by_rank) < len(files):
        raise UserError(f"{first.path.parent} holds a shard of {name} twice: keep the files of one pipeline stage")
    ordered = [by_rank[rank] for rank in range(first.ranks)]
    if not is_tiled(first.whole_shape, [pair.global_slices for file in ordered for pair in file.pairs]):
        raise UserError(f"{first.path.parent}: by their headers the shards of {name} do not cover it")
    return ordered


def _loaded(path: Path) -> torch.Tensor:
    try:
        with safe_open(path, framework="pt") as content:
            return content.get_tensor(TENSOR)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is damaged or was not copied whole: {error}") from error
