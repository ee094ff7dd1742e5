from benchmarks.sample_plan import timings
from tokenformer.curriculum import ORDERINGS


def test_every_ordering_is_timed():
    names = [name for name, seconds in timings(500) if seconds > 0]
    assert names == ["choosing", *ORDERINGS]
