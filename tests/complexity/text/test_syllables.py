import pytest

from tokenformer.complexity.text.syllables import english_syllables

# Counts as spoken in General American, by hand.
COUNTS = {
    1: "a cat dog the be eye make while belle makes miles times walked called loved stirred vague tongue strength "
    "played eyes don't there's boys' you're shoes league through thought fire's",
    2: "table water houses pages boxes wanted handled settled argue going being player yellow lion poem quiet science "
    "something someone careful lately safety ninety evening hundred didn't alice chasm rhythm prism acre centre "
    "mother father little happy million nation question marriage social friendly beyond actress horses ice-cream",
    3: "banana family animal beautiful happier easiest radio period medium usual anyone everyone arrangement idea "
    "area alice's recipe vegetable basically telephone september elephant",
    4: "mother-in-law experience january society variety education intelligent usually television 1914 "
    "associate material",
    5: "university vocabulary electricity imagination refrigerator",
}


@pytest.mark.parametrize(
    ("word", "count"),
    [(word, count) for count, line in COUNTS.items() for word in line.split()],
)
def test_counted_by_hand(word, count):
    assert english_syllables(word) == count


@pytest.mark.parametrize("word", ["", "hmm", "😀", "_", "ñ", "日本", "\0"])
def test_at_least_one(word):
    assert english_syllables(word) == 1
