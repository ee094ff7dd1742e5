"""Who may import whom, and the other rules of the house that a machine can hold."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

LONGEST_FILE = 420
MOST_FILES = 16
# Words of a name that say nothing about what is inside.
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "misc", "common", "manager", "managers"}


def _law() -> dict[str, set[str]]:
    """Folder -> the other folders that it may import, as the table of docs/architecture.md says."""
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/.]+)` \|[^|]*\|([^|]*)\|$", page, flags=re.MULTILINE)
    return {folder: set(re.findall(r"`([\w/.]+)`", allowed)) for folder, allowed in rows}


MAY_IMPORT = _law()
# They import one another relatively, since a copy of them lies in every export.
COPIED_INTO_EXPORTS = {"configuration_tokenformer", "layers_tokenformer", "modeling_tokenformer"}
MAKE_NANOTRON_MODULES = {"model", "trainer"}
WITHOUT_NANOTRON = (
    "growth",
    "complexity",
    "curriculum",
    "data",
    "corpora",
    "config",
    "evaluation",
    "reports",
    "run_folder",
    "kernels",
    "hf",
)


def package_files() -> Iterator[tuple[str, Path]]:
    """Dotted name inside the package, such as "growth.policy", and file of every module."""
    for path in sorted((REPOSITORY / "tokenformer").rglob("*.py")):
        yield ".".join(path.relative_to(REPOSITORY / "tokenformer").with_suffix("").parts), path
    for path in sorted((REPOSITORY / "kernels").glob("*.py")):
        yield f"kernels.{path.stem}", path


FILES = dict(package_files())


def folder_of(module: str) -> str:
    """The longest row of the law that holds for a module: `trainer/loop` for "trainer.loop.launch"."""
    path = module.replace(".", "/").removesuffix("/__init__")
    rows = [row for row in MAY_IMPORT if f"{path}/".startswith(f"{row.replace('.', '/')}/")]
    return max(rows, key=len, default=path)


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, in functions too; a name imported from a package may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or node.module in COPIED_INTO_EXPORTS, "imports are absolute"
            yield node.module if node.level == 0 else f"tokenformer.hf.{node.module}"
            if node.module.partition(".")[0] == "tokenformer":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module: str) -> set[str]:
    """Modules of the package that a module imports, as "growth.policy"; a package's own module is its `__init__`."""
    found = set()
    for name in imports_of(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        top, _, inner = name.partition(".")
        if top == "tokenformer":
            found |= {candidate for candidate in (inner, f"{inner}.__init__".lstrip(".")) if candidate in FILES}
    # `from package import module` imports the module; the package's own names are not asked for.
    return {name for name in found if not name.endswith("__init__") or asks_for_names_of(module, name)}


def asks_for_names_of(module: str, package: str) -> bool:
    """Whether a module takes from a package's `__init__` more than modules of the package."""
    dotted = f"tokenformer.{package}".removesuffix(".__init__")
    inside = dotted.removeprefix("tokenformer").lstrip(".")
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == dotted:
            if any(f"{inside}.{alias.name}".lstrip(".") not in FILES for alias in node.names):
                return True
        elif isinstance(node, ast.Import) and dotted in [alias.name for alias in node.names]:
            return True
    return False


def foreign_imports(module: str) -> set[str]:
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    return {name.partition(".")[0] for name in imports_of(tree)} - {"tokenformer"}


PUBLIC = {"__init__", "__main__"}
"""The package's own module, which knows its version, and the one that starts the command line."""


def test_every_folder_has_a_row_in_the_law():
    assert {folder_of(module) for module in FILES} - PUBLIC == set(MAY_IMPORT)


def test_the_law_has_no_arrow_back_up():
    """A row names only rows above it, but for the parts of one folder."""
    seen: set[str] = set()
    for folder, allowed in MAY_IMPORT.items():
        assert allowed <= seen, folder
        seen.add(folder)


@pytest.mark.parametrize("module", [module for module in FILES if module not in PUBLIC])
def test_a_module_imports_only_what_its_folder_may(module):
    allowed = MAY_IMPORT[folder_of(module)]
    others = {folder_of(other) for other in own_imports(module)} - {folder_of(module)} - PUBLIC
    inside = {"model.config"} if "model" in allowed | {folder_of(module)} else set()
    assert others - allowed - inside == set()


def test_no_module_imports_itself_through_others():
    imports = {module: own_imports(module) for module in FILES}
    finished: set[str] = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in finished:
            for other in sorted(imports[module]):
                follow(other, (*path, module))
            finished.add(module)

    for module in FILES:
        follow(module, ())


def test_nanotron_is_imported_by_the_trainer_and_the_model_alone():
    importers = {module.partition(".")[0] for module in FILES if "nanotron" in foreign_imports(module)}
    assert importers == MAKE_NANOTRON_MODULES


@pytest.mark.parametrize("folder", WITHOUT_NANOTRON)
def test_no_way_leads_from_these_folders_to_nanotron(folder):
    """Through any chain of imports, in functions too."""
    reached, waiting = set(), [module for module in FILES if folder_of(module) == folder]
    assert waiting
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            packages = [f"{module.rpartition('.')[0]}.__init__".lstrip("."), "__init__"]
            waiting += [*own_imports(module), *(package for package in packages if package in FILES)]
    assert [module for module in sorted(reached) if "nanotron" in foreign_imports(module)] == []


def test_kernels_import_torch_and_the_standard_library_alone():
    for module in FILES:
        if folder_of(module) == "kernels":
            assert foreign_imports(module) <= {"torch", "triton", *sys.stdlib_module_names}, module


def test_what_is_copied_into_exports_needs_torch_and_transformers_alone():
    modules = {module for module in FILES if folder_of(module) == "hf"} - {"hf.__init__"}
    assert {module.removeprefix("hf.") for module in modules} == COPIED_INTO_EXPORTS
    for module in modules:
        assert own_imports(module) <= modules | {"hf.__init__"}
        assert foreign_imports(module) <= {"torch", "transformers", *sys.stdlib_module_names}, module


def test_the_command_line_imports_lazily():
    """It reads options, which import nothing but the standard library and tyro."""
    script = "import sys; before = set(sys.modules); import tokenformer.cli; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert foreign <= {"tokenformer", "tyro", "docstring_parser", "typeguard", "typing_extensions"}


def project_files(*suffixes: str) -> list[Path]:
    """What git tracks or would track; the suffixes choose, and none is all of them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout, so what belongs to the project is not known")
    paths = [REPOSITORY / name for name in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def test_no_file_is_too_long():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in project_files(".py")}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_module_has_a_name_that_says_nothing():
    parts = {path: {*path.stem.split("_"), *path.parent.name.split("_")} for path in project_files(".py")}
    assert [path for path, words in parts.items() if words & EMPTY_NAMES] == []


def test_no_file_names_a_path_of_one_machine():
    machine_path = re.compile(r"(?<![\w.:/~$}-])/(?:tmp|work|root|home|Users|mnt|scratch)/\w")
    found = []
    for path in project_files():
        if path.suffix not in (".png", ".gz", ".parquet", ".zip", ".safetensors"):
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [
                f"{path.name}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if machine_path.search(line)
            ]
    assert found == []


def test_no_folder_is_crowded():
    files = Counter(path.parent for path in project_files(".py") if "tests" not in path.parts)
    assert {folder.name: n for folder, n in files.items() if n > MOST_FILES} == {}
