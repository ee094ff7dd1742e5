"""The table in the documentation of growth is the measured one, and operators tell the truth about themselves."""

import pytest

from tests.support.growth.growth_table import END, ROUNDING, ROWS, START, Row, page, with_table
from tests.support.live_layouts import LIVE_LAYOUTS
from tokenformer.growth import OPERATORS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_an_operator_says_whether_it_is_exact(row: Row):
    change = row.change()
    assert change < ROUNDING if row.operator.is_exact(row.config) else change > 1e-3


def test_every_operator_has_rows_for_every_model_it_grows():
    shown = {(row.operator.name, row.model.partition(",")[0].lower()) for row in ROWS}
    ours = {name: operator for name, operator in OPERATORS.items() if operator.__module__.startswith("tokenformer.")}
    assert shown == {(name, model) for name, operator in ours.items() for model in operator.model_types}


def test_what_is_tested_live_has_a_row():
    keys = [row.key for row in ROWS]
    assert len(set(keys)) == len(keys)
    assert set(LIVE_LAYOUTS) <= set(keys)


def test_the_page_shows_the_table_that_is_measured():
    """If not: python -m tests.support.growth.growth_table"""
    text = page().read_text(encoding="utf-8")
    assert text.count(START) == text.count(END) == 1
    assert text == with_table(text)
