"""The schedule of context lengths, step by step."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import refused
from tokenformer.curriculum.context_length import ContextSchedule
from tokenformer.errors import UserError


def test_without_phases_it_is_the_sequence_length():
    schedule = ContextSchedule.of(None, 512, 10)
    assert [schedule.length_at(step) for step in (0, 9)] == [512, 512]
    assert list(schedule.spans(3, 9)) == [(512, 6)]


def test_the_schedule_of_gpt_bert():
    schedule = ContextSchedule.of([(128, 0.6), (256, 0.8), (512, None)], 512, 100)
    assert [schedule.length_at(step) for step in (0, 59, 60, 79, 80, 99)] == [128, 128, 256, 256, 512, 512]


@given(
    st.lists(st.floats(0.01, 0.99), min_size=0, max_size=4, unique=True).map(sorted),
    st.integers(500, 900),
    st.data(),
)
def test_spans_are_the_lengths_of_the_steps(points, steps, data):
    lengths = data.draw(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=len(points) + 1, max_size=len(points) + 1))
    try:
        schedule = ContextSchedule.of(list(zip(lengths, [*points, None], strict=True)), 8, steps)
    except UserError as error:
        assert "has to end later" in str(error)
        return
    start, end = sorted(data.draw(st.tuples(st.integers(0, steps), st.integers(0, steps))))
    expanded = [length for length, count in schedule.spans(start, end) for _ in range(count)]
    assert expanded == [schedule.length_at(step) for step in range(start, end)]


@refused(
    ([], "give at least one phase"),
    ([(3, None)], "a length of 3 does not divide tokens.sequence_length 8"),
    ([(0, None)], "a length of 0 does not divide"),
    ([(4, None), (8, None)], "every phase but the last needs until"),
    ([(4, 1.0), (8, None)], "every phase but the last needs until, a fraction between 0 and 1"),
    ([(4, 0.5), (8, 0.9)], "the last phase holds until the end"),
    ([(4, 0.5), (2, 0.4), (8, None)], "each has to end later than the one before"),
    ([(4, 0.01), (8, None)], "the phases end at steps 0, 10"),
)
def test_wrong_phases_are_refused(phases):
    ContextSchedule.of(phases, 8, 10)
