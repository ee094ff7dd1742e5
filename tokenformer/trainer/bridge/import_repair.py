"""Repairs Nanotron's source while it is imported; the installed files are never changed.

Four things are mended in the parsed module, before it is compiled:

- `nanotron.logging` of release 0.4 imports `LoggingArgs` only to annotate an argument, and closes an import circle with
  that. The import becomes a plain name.
- Release 0.4's Llama knows no `rope_theta`, and turns every head with the base 10,000. Its config gets the field, with
  that default, as on the main branch, and its attention passes it on.
- Without CUDA, the constant "cuda" becomes "cpu" and the name `torch.cuda` becomes `cpu_host.accelerator`, which
  answers the few calls that Nanotron makes. With CUDA neither is touched.
- Without flash-attn, what is imported from it comes from `flash_attention_stand_in`.

Each counts the places where it found something to mend. Where a place looks otherwise than it must, the import ends.
"""

import ast
import importlib.abc
import importlib.machinery
import sys
from collections import Counter
from dataclasses import dataclass, field
from types import CodeType

from tokenformer.trainer.bridge.repairs import cannot_repair

PACKAGE = "nanotron"
CIRCLE = "import circle of nanotron.logging"
ROTARY_BASE = "rope_theta in Nanotron's Llama"
CPU_DEVICE = "device 'cuda' in Nanotron's modules became 'cpu'"
FLASH_ATTENTION = "flash-attn, which is not installed, is replaced by torch's scaled_dot_product_attention"


class _Mending(ast.NodeTransformer):
    """Counts what it has mended."""

    mended = 0


class _CpuDevice(_Mending):
    """Replaces the device that Nanotron hard-wires."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if node.value != "cuda":
            return node
        self.mended += 1
        return ast.copy_location(ast.Constant("cpu"), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr == "cuda" and isinstance(node.value, ast.Name) and node.value.id == "torch":
            self.mended += 1
            return ast.copy_location(ast.Name("_accelerator", node.ctx), node)
        return self.generic_visit(node)


class _FlashAttentionImports(_Mending):
    """Points `from flash_attn... import name` to the stand-in."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module and node.module.partition(".")[0] == "flash_attn":
            node.module = "tokenformer.trainer.bridge.flash_attention_stand_in"
            self.mended += 1
        return node


def _break_import_circle(tree: ast.Module) -> int:
    """Returns how many imports became a plain name."""
    mended = 0
    for index, node in enumerate(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "nanotron.config.config":
            names = [alias.name for alias in node.names]
            if names != ["LoggingArgs"]:
                raise cannot_repair(CIRCLE, f"nanotron.logging imports {', '.join(names)} from its config")
            tree.body[index] = ast.parse("LoggingArgs = 'LoggingArgs'").body[0]
            mended += 1
    return mended


class _RotaryBase(_Mending):
    """Passes `config.rope_theta` to what `CausalSelfAttention` builds to turn its heads."""

    BASES = {"RotaryEmbedding": "theta", "FlashRotaryEmbedding": "base"}
    met = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        keyword = self.BASES.get(getattr(node.func, "id", ""))
        self.met |= keyword is not None
        if keyword and keyword not in [given.arg for given in node.keywords]:
            node.keywords.append(ast.keyword(keyword, ast.parse("config.rope_theta", mode="eval").body))
            self.mended += 1
        return self.generic_visit(node)


def _add_rotary_field(tree: ast.Module) -> int:
    config = _class_in(tree, "LlamaConfig")
    places = {
        node.target.id: place
        for place, node in enumerate(config.body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    if "rope_theta" in places:
        return 0
    config.body.insert(max(places.values()) + 1, ast.parse("rope_theta: float = 10000.0").body[0])
    return 1


def _pass_rotary_base(tree: ast.Module) -> int:
    passing = _RotaryBase()
    passing.visit(_class_in(tree, "CausalSelfAttention"))
    if not passing.met:
        raise cannot_repair(ROTARY_BASE, "CausalSelfAttention builds no rotary embedding")
    return passing.mended


def _class_in(tree: ast.Module, name: str) -> ast.ClassDef:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise cannot_repair(ROTARY_BASE, f"there is no class {name}")


OF_A_MODULE = {
    "nanotron.logging": (CIRCLE, _break_import_circle),
    "nanotron.config.models_config": (ROTARY_BASE, _add_rotary_field),
    "nanotron.models.llama": (ROTARY_BASE, _pass_rotary_base),
}
"""Module -> the repair of it alone, and the function that mends it and returns how many places it mended."""


def _first_statement(tree: ast.Module) -> int:
    """Index behind the docstring and the `from __future__` imports."""
    index = 0
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (is_docstring or is_future):
            break
        index += 1
    return index


@dataclass(frozen=True)
class Repairs:
    """Which repairs this machine needs beside those that every one does.

    Args:
        mended: how many places each repair has mended until now.
    """

    cpu_device: bool
    flash_attention: bool
    mended: Counter[str] = field(default_factory=Counter, compare=False)


def repair(source: bytes, name: str, repairs: Repairs) -> ast.Module:
    """Parses the source of the module `name` and mends it."""
    tree = ast.parse(source)
    if name in OF_A_MODULE:
        label, mend = OF_A_MODULE[name]
        repairs.mended[label] += mend(tree)
    if repairs.flash_attention:
        tree = _mended_by(_FlashAttentionImports(), FLASH_ATTENTION, tree, repairs)
    if repairs.cpu_device:
        tree = _mended_by(_CpuDevice(), CPU_DEVICE, tree, repairs)
        accelerator = ast.parse("from tokenformer.trainer.bridge.cpu_host import accelerator as _accelerator").body[0]
        tree.body.insert(_first_statement(tree), accelerator)
    return ast.fix_missing_locations(tree)


def _mended_by(mending: _Mending, label: str, tree: ast.Module, repairs: Repairs) -> ast.Module:
    tree = mending.visit(tree)
    repairs.mended[label] += mending.mended
    return tree


class RepairingLoader(importlib.machinery.SourceFileLoader):
    """Loads a module of Nanotron from its repaired source, past the byte-code cache."""

    def __init__(self, fullname: str, path: str, repairs: Repairs):
        super().__init__(fullname, path)
        self.repairs = repairs

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return compile(repair(self.get_data(path), fullname, self.repairs), path, "exec", dont_inherit=True)


class RepairingFinder(importlib.abc.MetaPathFinder):
    """Hands every module of Nanotron to a `RepairingLoader`."""

    def __init__(self, repairs: Repairs):
        self.repairs = repairs

    def find_spec(self, fullname, path=None, target=None):
        if fullname != PACKAGE and not fullname.startswith(PACKAGE + "."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = RepairingLoader(spec.loader.name, spec.loader.path, self.repairs)
        return spec


def _forget_unrepaired_modules() -> None:
    """Drops what an earlier, failed `import nanotron` left behind, so that it is imported again through the finder."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]:
        del sys.modules[name]


def install(repairs: Repairs) -> bool:
    """Installs the import hook once; returns whether it had to be installed."""
    if any(isinstance(finder, RepairingFinder) for finder in sys.meta_path):
        return False
    _forget_unrepaired_modules()
    sys.meta_path.insert(0, RepairingFinder(repairs))
    return True
