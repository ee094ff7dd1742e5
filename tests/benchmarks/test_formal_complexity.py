"""The benchmark of measures against known difficulty runs and prints a row for each language."""

import pytest

from tokenformer.corpora.formal import LANGUAGES


def test_a_row_for_each_language_and_dyck_by_its_nesting(capsys):
    pytest.importorskip("scipy", reason="ranks are scipy's")
    from benchmarks import formal_complexity

    formal_complexity.main(["--documents", "80"])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == [*formal_complexity.MEASURES]
    found = {row.split()[0]: [float(value) for value in row.split()[1:]] for row in rows}
    assert [*found] == [*LANGUAGES]
    assert found["dyck"][0] > 0.8 and found["regular"][0] == 0
