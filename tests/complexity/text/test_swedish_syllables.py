from tests.support.cases import cases
from tokenformer.complexity.text.swedish_syllables import swedish_syllables


@cases(
    ("katt", 1),
    ("katten", 2),
    ("ö", 1),
    ("familjen", 3),
    ("piano", 3),
    ("station", 2),
    ("religionen", 4),
    ("augusti", 3),
    ("europa", 3),
    ("beundra", 3),
    ("museum", 3),
    ("kafé", 2),
    ("skilsmässa", 3),
    ("nyår", 2),
    ("sky", 1),
    ("tv-program", 3),
    ("1914", 4),
    ("xyz", 1),
    ("km", 1),
    ("'", 1),
)
def test_syllables(word, syllables):
    assert swedish_syllables(word) == syllables
