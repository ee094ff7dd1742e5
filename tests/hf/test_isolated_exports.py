"""Exports load, compute, generate and finetune where this package is not installed, in transformers 4.51.3 and 5."""

import pytest

from tests.support.isolated_checks import CHECKS


@pytest.mark.parametrize("version", ["4", "5"])
def test_the_version_is_the_one_meant(checked, version):
    found = checked(version)["version"]
    assert found == "4.51.3" if version == "4" else found.startswith("5.")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("version", ["4", "5"])
def test_without_this_package(checked, version, check):
    assert checked(version)[check] == "ok", checked(version)[check]
