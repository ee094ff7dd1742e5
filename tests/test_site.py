"""The site is built strictly: no link leads nowhere, and every page of the API has docstrings that can be read."""

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from scripts import draw_flow
from tests.support.places import REPOSITORY


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the site needs the extra [docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    assert (tmp_path / "site" / "source" / "configs" / "tokenformer.yaml.html").is_file()


def test_the_picture_of_the_flow_is_what_its_script_draws():
    picture = draw_flow.picture()
    ElementTree.fromstring(picture)
    assert draw_flow.PAGE.read_text(encoding="utf-8") == picture
