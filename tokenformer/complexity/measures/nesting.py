"""Programs and strings of formal languages: how deep they nest, and how many names they juggle."""

import keyword
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from tokenformer.complexity.measure import ARTIFICIAL, Measure, formula_measure
from tokenformer.complexity.text.documents import Documents

_STRING = r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_PYTHON_SILENT = re.compile(rf"{_STRING}|#[^\n]*", re.DOTALL)
_BRACED_SILENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?(?:\*/|\Z)|^[^\S\n]*#[^\n]*", re.DOTALL | re.MULTILINE)
_BRACED_LINE = re.compile(r"[;{][^\S\n]*(?://[^\n]*|/\*[^\n]*)?$", re.MULTILINE)
_NAME = re.compile(r"[^\W\d]\w*")
_BRACKETS = {"code": ("([{", ")]}"), "formal": ("([{<", ")]}>")}


@dataclass(frozen=True)
class NestingDepth:
    """Mean depth of the visible characters of a text, float64[n]; 0 for a blank text.

    The depth of a character is the number of brackets around it, its own included if it is one; closing brackets that
    match nothing are passed over. In code the characters of a line are at least as deep as the line is indented (in
    levels: every larger indentation opens one), and strings and comments are left out. Doubling a text with balanced
    brackets and closed quotation marks does not change it.
    """

    language: str

    def __call__(self, documents: Documents) -> np.ndarray:
        return np.array([self._mean_depth(text) for text in documents.texts])

    def _mean_depth(self, text: str) -> float:
        if self.language == "code":
            text = spoken_code(text)
        characters = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        opening, closing = (np.isin(characters, [ord(mark) for mark in marks]) for marks in _BRACKETS[self.language])
        level = np.cumsum(opening.astype(np.int64) - closing)
        # Where more was closed than was open, the count starts again.
        depth = level - np.minimum(np.minimum.accumulate(level), 0) if level.size else level
        inside = depth + closing
        if self.language == "code":
            inside = inside + _indented_deeper(text, depth)
        visible = np.fromiter((not character.isspace() for character in text), bool, count=len(text))
        return float(inside[visible].mean()) if visible.any() else 0.0


def _indented_deeper(text: str, depth: np.ndarray) -> np.ndarray:
    """int64[characters]: levels that each line is indented beyond the brackets that are open where it begins."""
    lines = text.split("\n")
    sizes = np.array([len(line) + 1 for line in lines])
    sizes[-1] -= 1
    starts = np.cumsum(sizes) - sizes
    open_brackets = np.where(starts > 0, depth[np.maximum(starts - 1, 0)], 0) if depth.size else starts
    return np.repeat(np.maximum(_indentation_levels(lines) - open_brackets, 0), sizes)


def _indentation_levels(lines: list[str]) -> np.ndarray:
    """int64[lines]: how many smaller indentations each line stands in; blank lines are at none."""
    levels, open_widths = [], []
    for line in lines:
        code = line.strip()
        if not code:
            levels.append(0)
            continue
        expanded = line.expandtabs(8)
        width = len(expanded) - len(expanded.lstrip())
        while open_widths and open_widths[-1] >= width:
            open_widths.pop()
        if width:
            open_widths.append(width)
        levels.append(len(open_widths))
    return np.array(levels)


def spoken_code(text: str) -> str:
    """Code without the content of its strings and without comments; line breaks stay.

    Text with lines that end in a semicolon or an opening brace has the comments of C, other text those of Python.
    """
    silent = _BRACED_SILENT if _BRACED_LINE.search(text) else _PYTHON_SILENT
    return silent.sub(lambda match: "\n" * match.group().count("\n"), text)


def identifier_entropy(documents: Documents) -> np.ndarray:
    """Entropy of the names in a program, bits, float64[n]: 0 where there is at most one name.

    -sum p log2 p over the different names (Python's keywords are none), p their share. It is bounded by log2 of their
    number, so it rises with the length of a program: compare pieces of one length. Doubling a text does not change it.
    """
    return np.array([_entropy(spoken_code(text)) for text in documents.texts])


def _entropy(code: str) -> float:
    counts = Counter(name for name in _NAME.findall(code) if not keyword.iskeyword(name))
    shares = np.array(list(counts.values())) / max(counts.total(), 1)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


NESTING_DEPTH = Measure(
    name="nesting_depth",
    languages=ARTIFICIAL,
    unit="brackets or indentations",
    source="nesting as complexity: Harrison & Magel 1981; depth of Dyck words: Hewitt et al. 2020",
    cost="a few passes over the text",
    learn=lambda train_texts, language, parameters: NestingDepth(language),
)

IDENTIFIER_ENTROPY = formula_measure(
    identifier_entropy, ("code",), "bits per name", "Shannon 1948 over identifiers", cost="two passes over the text"
)
