"""Lists of bounded size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.batches import batches


@pytest.mark.parametrize("padded", [False, True])
@given(items=st.lists(st.text(max_size=9), max_size=30), most=st.integers(1, 20))
def test_batches_hold_every_item_once_in_order_and_no_more_than_fits(items, most, padded):
    found = list(batches(items, most, padded=padded))
    assert sum(found, []) == items

    def room(batch):
        return max(map(len, batch)) * len(batch) if padded else sum(map(len, batch))

    assert all(batch and (room(batch) <= most or len(batch) == 1) for batch in found)
    assert all(room([*batch, after[0]]) > most for batch, after in zip(found, found[1:], strict=False)), (
        "no list too small"
    )
