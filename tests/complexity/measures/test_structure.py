import numpy as np

from tests.support.cases import cases
from tokenformer.complexity.measures.structure import LONGEST_SENTENCE, SENTENCE_LENGTH, WORD_LENGTH

TEXTS = ["One two three. Four five! Six?", "Mother-in-law's 3.14: no end", "", "Title\n\nA sentence"]


@cases(
    (SENTENCE_LENGTH, [2, 5, 0, 1.5]),
    (LONGEST_SENTENCE, [3, 5, 0, 2]),
    (WORD_LENGTH, [22 / 6, (12 + 1 + 2 + 2 + 3) / 5, 0, 14 / 3]),
)
def test_lengths_by_hand(measure, expected):
    np.testing.assert_allclose(measure(TEXTS, "en"), expected, rtol=1e-12)
