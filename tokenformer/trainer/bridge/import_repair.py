"""Repairs Nanotron's source while it is imported; the installed files are never changed.

Four things are mended in the parsed module, before it is compiled:

- `nanotron.logging` of release 0.4 imports `LoggingArgs` only to annotate an argument, and closes an import circle with
  that. The import becomes a plain name.
- Release 0.4's Llama knows no `rope_theta`, and turns every head with the base 10,000. Its config gets the field, with
  that default, as on the main branch, and its attention passes it on.
- Without CUDA, the constant "cuda" becomes "cpu" and the name `torch.cuda` becomes `cpu_host.accelerator`, which
  answers the few calls that Nanotron makes. With CUDA neither is touched.
- Without flash-attn, what is imported from it comes from `flash_attention_stand_in`.
"""

import ast
import importlib.abc
import importlib.machinery
import sys
from dataclasses import dataclass
from types import CodeType

PACKAGE = "nanotron"


class _CpuDevice(ast.NodeTransformer):
    """Replaces the device that Nanotron hard-wires."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.copy_location(ast.Constant("cpu"), node) if node.value == "cuda" else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr == "cuda" and isinstance(node.value, ast.Name) and node.value.id == "torch":
            return ast.copy_location(ast.Name("_accelerator", node.ctx), node)
        return self.generic_visit(node)


class _FlashAttentionImports(ast.NodeTransformer):
    """Points `from flash_attn... import name` to the stand-in."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module and node.module.partition(".")[0] == "flash_attn":
            node.module = "tokenformer.trainer.bridge.flash_attention_stand_in"
        return node


def _is_circular_import(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "nanotron.config.config"
        and [alias.name for alias in node.names] == ["LoggingArgs"]
    )


def _break_import_circle(tree: ast.Module) -> None:
    annotation = ast.parse("LoggingArgs = 'LoggingArgs'").body[0]
    tree.body = [annotation if _is_circular_import(node) else node for node in tree.body]


class _RotaryBase(ast.NodeTransformer):
    """Passes `config.rope_theta` to what `CausalSelfAttention` builds to turn its heads."""

    BASES = {"RotaryEmbedding": "theta", "FlashRotaryEmbedding": "base"}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        keyword = self.BASES.get(getattr(node.func, "id", ""))
        if keyword and keyword not in [given.arg for given in node.keywords]:
            node.keywords.append(ast.keyword(keyword, ast.parse("config.rope_theta", mode="eval").body))
        return self.generic_visit(node)


def _add_rotary_base(tree: ast.Module, name: str) -> None:
    """To the Llama's config, or to its attention; nothing changes where it is there."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        if name == "nanotron.config.models_config" and node.name == "LlamaConfig":
            fields = [field.target.id for field in node.body if isinstance(field, ast.AnnAssign)]
            if "rope_theta" not in fields:
                last = max(index for index, field in enumerate(node.body) if isinstance(field, ast.AnnAssign))
                node.body.insert(last + 1, ast.parse("rope_theta: float = 10000.0").body[0])
        if name == "nanotron.models.llama" and node.name == "CausalSelfAttention":
            _RotaryBase().visit(node)


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
    """Which repairs this machine needs beside those that every one does."""

    cpu_device: bool
    flash_attention: bool


def repair(source: bytes, name: str, repairs: Repairs) -> ast.Module:
    """Parses the source of the module `name` and mends it."""
    tree = ast.parse(source)
    if name == "nanotron.logging":
        _break_import_circle(tree)
    _add_rotary_base(tree, name)
    if repairs.flash_attention:
        tree = _FlashAttentionImports().visit(tree)
    if repairs.cpu_device:
        tree = _CpuDevice().visit(tree)
        accelerator = ast.parse("from tokenformer.trainer.bridge.cpu_host import accelerator as _accelerator").body[0]
        tree.body.insert(_first_statement(tree), accelerator)
    return ast.fix_missing_locations(tree)


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
