"""Lexical diversity that does not fall with the length of a text: MATTR and MTLD.

Both need some text to work on: of fewer than about 50 words they say little.
"""

import numpy as np

from tokenformer.complexity.measure import NATURAL, formula_measure
from tokenformer.complexity.text.documents import Documents

WINDOW = 50
THRESHOLD = 0.72


def mattr(documents: Documents) -> np.ndarray:
    """Moving-average type-token ratio float64[n]: mean share of different words in all windows of 50 words.

    Covington & McFall 2010, "Cutting the Gordian knot: the moving-average type-token ratio (MATTR)". A shorter text is
    one window of its own length; a blank one has 0. When a text of w >= 50 words is doubled, 49 windows come in that
    hold words of both copies, among 2 w - 49: the value changes by less than 49 / (2 w - 49).
    """
    sizes = documents.word_counts
    window = np.minimum(sizes, WINDOW)
    windows = sizes - window + 1
    place, previous = documents.place, previous_place(documents)
    # A word is the first of its kind in the windows that hold it and start behind its previous place.
    last_start = np.minimum(place, (windows - 1)[documents.document])
    first_start = np.maximum(previous + 1, place - window[documents.document] + 1)
    firsts = documents.sums(np.maximum(last_start - np.maximum(first_start, 0) + 1, 0))
    return firsts / np.maximum(window * windows, 1)


def previous_place(documents: Documents) -> np.ndarray:
    """int64[t]: place in its text of the last same word before each word, -1 where there is none."""
    return documents.shared("previous place", lambda: _previous_place(documents))


def _previous_place(documents: Documents) -> np.ndarray:
    order = np.argsort(documents.document * len(documents.vocabulary) + documents.word, kind="stable")
    same = (documents.document[order[1:]] == documents.document[order[:-1]]) & (
        documents.word[order[1:]] == documents.word[order[:-1]]
    )
    previous = np.full(order.size, -1)
    previous[order[1:][same]] = documents.place[order[:-1][same]]
    return previous


def mtld(documents: Documents) -> np.ndarray:
    """Measure of textual lexical diversity float64[n]: mean number of words over which the type-token ratio is > 0.72.

    McCarthy & Jarvis 2010, "MTLD, vocd-D, and HD-D", Behavior Research Methods 42(2): the words are counted off until
    the ratio falls to 0.72 (a factor), the remainder is a part of a factor, and the number of words is divided by that
    of factors; mean of reading forwards and backwards. A text whose words are all different has the value that one
    repetition would give it; a blank one has 0. When a text is doubled the remainder is read on, so one factor in each
    direction may move: of f >= 2 factors, the value changes by less than 2 / f of it.
    """
    previous = previous_place(documents)
    following = _mirrored(previous, documents)
    ends = np.cumsum(documents.word_counts).tolist()
    values = np.zeros(len(documents))
    for index, (size, end) in enumerate(zip(documents.word_counts.tolist(), ends, strict=True)):
        text = slice(end - size, end)
        values[index] = sum(size / _factors(places[text].tolist()) for places in (previous, following) if size) / 2
    return values


def _mirrored(previous: np.ndarray, documents: Documents) -> np.ndarray:
    """`previous_place` of every text read backwards: int64[t], in that reading order, text by text."""
    place = documents.place
    starts, last = np.arange(previous.size) - place, (documents.word_counts - 1)[documents.document]
    mirrored = np.full(previous.size, -1)
    seen = previous >= 0
    mirrored[starts[seen] + last[seen] - previous[seen]] = last[seen] - place[seen]
    return mirrored


def _factors(previous: list[int]) -> float:
    """Factors of one text of some words, the last one in part; `previous` as in `previous_place`."""
    factors = start = different = 0
    threshold = THRESHOLD
    for place, before in enumerate(previous):
        if before < start:
            different += 1
        elif different <= threshold * (place + 1 - start):
            factors, start, different = factors + 1, place + 1, 0
    rest = len(previous) - start
    if rest:
        factors += (1 - different / rest) / (1 - THRESHOLD)
    return factors or 1 / len(previous) / (1 - THRESHOLD)


MATTR = formula_measure(
    mattr,
    (NATURAL,),
    unit="different words per word of a window",
    source="Covington & McFall 2010, J. Quantitative Linguistics 17(2), 94-100; window of 50 words",
    cost="one pass over the text, and a sort of its words",
)

MTLD = formula_measure(
    mtld,
    (NATURAL,),
    unit="words",
    source="McCarthy & Jarvis 2010, Behavior Research Methods 42(2), 381-392; threshold 0.72",
    cost="three passes over the text, two of them in Python",
)
