import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.complexity.text.key_table import EMPTY, KeyTable

numbers = st.integers(0, 50) | st.integers(0, 2**62)


@given(st.lists(numbers, unique=True, max_size=60), st.lists(numbers, max_size=60))
def test_every_key_is_found_where_it_stands_and_no_other(keys, others):
    table = KeyTable(np.array(keys, dtype=np.int64))
    asked = keys + others
    expected = [keys.index(key) if key in keys else EMPTY for key in asked]
    assert table.places(np.array(asked, dtype=np.int64)).tolist() == expected


def test_many_keys():
    keys = np.unique(np.random.default_rng(0).integers(0, 10**9, 50_000))
    table = KeyTable(keys)
    np.testing.assert_array_equal(table.places(keys), np.arange(keys.size))
    absent = np.setdiff1d(np.arange(100_000), keys)
    assert (table.places(absent) == EMPTY).all()
