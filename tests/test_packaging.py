"""The package as it is installed: what it needs to be imported, and what a wheel holds."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

PACKAGES = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
OPTIONAL = [
    *("triton", "flash_attn", "wandb", "accelerate", "matplotlib", "pandas", "transformers", "datatrove"),
    *("wordfreq", "sklearn", "scipy", "spacy", "lm_eval", "datasets"),
]
NEED_NANOTRON = {
    "tokenformer.model.attention",
    "tokenformer.model.block",
    "tokenformer.model.init",
    "tokenformer.model.model",
    "tokenformer.model.pattention",
    "tokenformer.model.tensor_parallel",
    "tokenformer.trainer.loop.batches",
    "tokenformer.trainer.growing.live",
    "tokenformer.trainer.loop.agreement",
    "tokenformer.trainer.loop.observers.divergence",
    "tokenformer.trainer.loop.observers.evaluation",
    "tokenformer.trainer.loop.observers.growing",
    "tokenformer.trainer.loop.observers.loss_recorder",
    "tokenformer.trainer.loop.observers.samples",
    "tokenformer.trainer.loop.observers.stopping",
    "tokenformer.trainer.loop.standard_observers",
    "tokenformer.trainer.checkpoint.restore",
    "tokenformer.trainer.growing.new_elements",
    "tokenformer.trainer.growing.live_state",
    "tokenformer.trainer.growing.memory",
    "tokenformer.trainer.loop.live_evaluation",
    "tokenformer.trainer.bridge.checkpoint_bars",
    "tokenformer.trainer.bridge.llama_weights",
    "tokenformer.trainer.bridge.parameter_groups",
    "tokenformer.trainer.loop.trainer",
    "tokenformer.trainer.loop.validation",
}
NEED_TRITON = {"tokenformer.kernels.triton_rows"}
NEED_TRANSFORMERS = {
    "tokenformer.hf.configuration_tokenformer",
    "tokenformer.hf.layers_tokenformer",
    "tokenformer.hf.modeling_tokenformer",
}
NEED_LM_EVAL = {"tokenformer.evaluation.runners.lm_eval_model"}


def folder_of(package: str) -> Path:
    return REPOSITORY / PACKAGES["package-dir"].get(package, package.replace(".", "/"))


def source_files() -> dict[str, Path]:
    """Every module by name, but `__main__`, which runs."""
    modules = {}
    for package in PACKAGES["packages"]:
        for path in folder_of(package).glob("*.py"):
            if path.stem != "__main__":
                modules[package if path.stem == "__init__" else f"{package}.{path.stem}"] = path
    return modules


def run(script: str, *arguments: str, **options) -> str:
    """Standard output of a script in a fresh interpreter outside of the checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, **options
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


IMPORT_ALL = """
import importlib, sys
def failures(modules):
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            yield name
"""

# torch comes first and once; then a process for each blocked package, so that none sees what another has imported.
BLOCK_EACH = f"""
{IMPORT_ALL}
import os, torch
packages, modules = sys.argv[1].split(), sys.argv[2].split()
for package in packages:
    if os.fork() == 0:
        sys.modules[package] = None
        print(package, *failures(modules), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, package
"""

BLOCK_ALL = f"""
{IMPORT_ALL}
def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"{{event}}{{arguments}}")
sys.addaudithook(refuse)
for package in sys.argv[1].split():
    sys.modules[package] = None
import tokenformer
from tokenformer.trainer import bootstrap
bootstrap()
print(*failures(sys.argv[2].split()))
"""


def test_every_folder_with_modules_is_a_package_of_the_distribution():
    folders = {path.parent for path in REPOSITORY.glob("tokenformer/**/*.py")} | {REPOSITORY / "kernels"}
    assert {folder_of(package) for package in PACKAGES["packages"]} == folders
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_without_nanotron_all_modules_import_but_those_made_of_it(tmp_path):
    names = [name for name in source_files() if name not in NEED_LM_EVAL]
    output = run(BLOCK_EACH, "nanotron", " ".join(names), cwd=tmp_path).split()
    assert sorted(output) == sorted(["nanotron", *NEED_NANOTRON])


def test_without_triton_all_modules_import_but_the_one_made_of_it(tmp_path):
    light = [name for name in source_files() if name not in NEED_NANOTRON | NEED_TRANSFORMERS | NEED_LM_EVAL]
    assert run(BLOCK_EACH, "triton", " ".join(light), cwd=tmp_path).split() == ["triton", *NEED_TRITON]


def test_without_any_one_of_the_optional_packages_they_all_import(tmp_path):
    light = [
        name for name in source_files() if name not in NEED_NANOTRON | NEED_TRITON | NEED_TRANSFORMERS | NEED_LM_EVAL
    ]
    assert run(BLOCK_EACH, " ".join(OPTIONAL), " ".join(light), cwd=tmp_path).splitlines() == OPTIONAL


def test_without_all_optional_packages_and_without_network_every_module_imports(tmp_path):
    names = [name for name in source_files() if name not in NEED_TRITON | NEED_TRANSFORMERS | NEED_LM_EVAL]
    assert run(BLOCK_ALL, " ".join(OPTIONAL), " ".join(names), cwd=tmp_path).split() == []


@pytest.mark.parametrize("arguments", ["--help", "--version", "prepare --help", "train --help"])
def test_help_loads_nothing_heavy(tmp_path, arguments):
    script = """
import sys
from tokenformer.cli import main
try:
    main(sys.argv[1].split())
except SystemExit as end:
    assert end.code == 0
heavy = {"torch", "nanotron", "transformers", "numpy", "yaml", "datatrove", "pyarrow", "rich", "tokenizers"}
print("loaded:", *sorted(heavy & set(sys.modules)))
"""
    assert run(script, arguments, cwd=tmp_path).splitlines()[-1] == "loaded:"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel made from a copy of the sources."""
    pytest.importorskip("pip", reason="pip is not here to build a wheel")
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building a wheel needs setuptools 77 or newer, for the licence in pyproject.toml")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("tokenformer", "kernels", "tests"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    return next(folder.glob("tokenformer-*.whl"))


def test_without_lm_eval_the_module_made_of_it_names_the_extra(tmp_path):
    script = """
import sys
sys.modules["lm_eval"] = None
try:
    import tokenformer.evaluation.runners.lm_eval_model
except ImportError as error:
    print(error)
"""
    assert "pip install tokenformer[eval]" in run(script, cwd=tmp_path)


def test_a_wheel_holds_every_module_its_data_and_nothing_else(wheel):
    everything = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    patterns = ("*/reference_data/*", "*/tasks/*.yaml", "py.typed")
    paths = [path for pattern in patterns for path in (REPOSITORY / "tokenformer").glob(pattern)]
    data = {str(path.relative_to(REPOSITORY)) for path in paths}
    assert data and data <= set(everything)
    names = [name for name in everything if name not in data]
    modules = {f"{name.replace('.', '/')}.py" for name in source_files() if name not in PACKAGES["packages"]}
    modules |= {f"{package.replace('.', '/')}/__init__.py" for package in PACKAGES["packages"]}
    assert sorted(names) == sorted([*modules, "tokenformer/__main__.py"])
    assert len(names) == sum(1 for folder in ("tokenformer", "kernels") for _ in (REPOSITORY / folder).rglob("*.py"))


def test_a_wheel_has_the_kernels_inside_the_package_and_no_package_of_that_name(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from importlib.util import find_spec
print(find_spec("tokenformer").origin, find_spec("tokenformer.kernels").origin, find_spec("kernels"), sep="\\n")
"""
    package, kernels, top = run(script, str(tmp_path / "installed"), cwd=tmp_path).splitlines()
    installed = tmp_path / "installed" / "tokenformer"
    assert (Path(package), Path(kernels)) == (installed / "__init__.py", installed / "kernels" / "__init__.py")
    assert top == "None"


def test_a_wheel_brings_the_licence_and_the_command(wheel):
    archive = zipfile.ZipFile(wheel)
    files = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
    assert "licenses/LICENSE" in files
    assert b"tokenformer = tokenformer.cli:main" in archive.read(files["entry_points.txt"])
    assert b"License-Expression: Apache-2.0" in archive.read(files["METADATA"])
