import pytest

from tokenformer.complexity.text.syllables import swedish_syllables

COUNTS = {
    1: "katt ö sky xyz km '",
    2: "katten station kafé nyår",
    3: "familjen piano augusti europa beundra museum skilsmässa tv-program",
    4: "religionen 1914",
}


@pytest.mark.parametrize(("word", "count"), [(word, count) for count, line in COUNTS.items() for word in line.split()])
def test_syllables(word, count):
    assert swedish_syllables(word) == count
