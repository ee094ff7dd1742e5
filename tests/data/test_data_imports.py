"""The folder stays light: preparing text needs neither the trainer nor torch."""

import subprocess
import sys


def modules_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_the_package_itself_imports_nothing_heavy():
    heavy = {"torch", "nanotron", "transformers", "datatrove", "pyarrow", "pandas", "tokenizers", "rich"}
    assert not modules_after("import tokenformer.data") & heavy


def test_preparing_imports_no_trainer():
    heavy = {"torch", "nanotron", "transformers", "datatrove", "pyarrow", "pandas"}
    assert not modules_after("import tokenformer.data.prepare") & heavy
