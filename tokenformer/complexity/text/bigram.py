"""A word bigram model whose every probability is proper, and can leave any of its own documents out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np

from tokenformer.complexity.text.documents import Documents, analysed, text_batches
from tokenformer.complexity.text.key_table import EMPTY, KeyTable

UNKNOWN = -1
LONGEST_WORD = 32


@dataclass(frozen=True)
class WordStream:
    """The lower-cased words of some documents, one after another; three int64[t].

    Attributes:
        word: number in the vocabulary, or UNKNOWN.
        length: number of characters.
        document: index of the document, ascending.
    """

    word: np.ndarray
    length: np.ndarray
    document: np.ndarray

    def previous(self) -> np.ndarray:
        """int64[t]: the word before each word; UNKNOWN at the start of a document."""
        before = np.full_like(self.word, UNKNOWN)
        before[1:] = np.where(self.document[1:] == self.document[:-1], self.word[:-1], UNKNOWN)
        return before


def numbered_words(texts: Sequence[str]) -> tuple[dict[str, int], WordStream]:
    """The vocabulary of `texts`, numbered, and the texts in these numbers."""
    vocabulary: defaultdict[str, int] = defaultdict(count().__next__)
    numbers, document, done = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for batch in text_batches(texts):
        documents = analysed(batch)
        numbers.append(documents.of_vocabulary(vocabulary.__getitem__)[documents.word])
        document.append(documents.document + done)
        done += len(documents)
    word = np.concatenate(numbers)
    return dict(vocabulary), WordStream(word, _lengths(vocabulary)[word], np.concatenate(document))


def _lengths(vocabulary: Iterable[str]) -> np.ndarray:
    return np.fromiter(map(len, vocabulary), np.int64)


@dataclass(frozen=True)
class Evidence:
    """Counts that the model has of each of t words: int64[t] each."""

    pair: np.ndarray
    context: np.ndarray
    context_types: np.ndarray
    word: np.ndarray
    total: np.ndarray
    total_types: np.ndarray


@dataclass(frozen=True)
class BigramModel:
    """Interpolated word bigrams, Witten-Bell smoothing (Witten & Bell 1991, IEEE Trans. Inf. Theory 37(4), method C).

    P(w|h) = (c(hw) + t(h) P(w)) / (c(h) + t(h)), where c counts and t(h) is the number of different words seen
    after h; P(w) = (c(w) + t P0(w)) / (n + t) in the same way over n words of t types. After an unknown word, and at
    the start of a document, P(w|h) is P(w).

    P0 spells: with `alphabet` = a characters (one of them stands for all that the model never saw), the first
    character costs log2(a) bits and each further one, or the end, log2(a + 1); a word of LONGEST_WORD characters or
    more costs what its beginning costs. Hence P0 sums to 1 over all words, so does P(.|h), and a longer unknown word
    costs more, up to a bound.

    Attributes:
        vocabulary: word -> number below v.
        lengths: int64[v], characters of each word.
        alphabet: number of characters, the unseen one included.
        word_counts: int64[v].
        pair_keys: int64[k], ascending; previous * v + word of each pair that was seen.
        pair_counts: int64[k].
        context_counts, context_types: int64[v], c(h) and t(h).
    """

    vocabulary: dict[str, int]
    lengths: np.ndarray
    alphabet: int
    word_counts: np.ndarray
    pair_keys: np.ndarray
    pair_counts: np.ndarray
    context_counts: np.ndarray
    context_types: np.ndarray

    @classmethod
    def fit(cls, vocabulary: dict[str, int], stream: WordStream) -> "BigramModel":
        """Counts the words and pairs of `stream`, all of them known to `vocabulary`."""
        size = len(vocabulary)
        previous = stream.previous()
        inside = previous != UNKNOWN
        pair_keys, pair_counts = np.unique(previous[inside] * size + stream.word[inside], return_counts=True)
        return cls.from_counts(vocabulary, np.bincount(stream.word, minlength=size), pair_keys, pair_counts)

    @classmethod
    def from_counts(
        cls, vocabulary: dict[str, int], word_counts: np.ndarray, pair_keys: np.ndarray, pair_counts: np.ndarray
    ) -> "BigramModel":
        """The model of these counts, whose arrays are described above."""
        size = len(vocabulary)
        context = pair_keys // max(size, 1)
        return cls(
            vocabulary=vocabulary,
            lengths=_lengths(vocabulary),
            alphabet=len(set().union(*vocabulary)) + 1,
            word_counts=word_counts,
            pair_keys=pair_keys,
            pair_counts=pair_counts,
            context_counts=np.bincount(context, pair_counts, size).astype(np.int64),
            context_types=np.bincount(context, minlength=size),
        )

    def read(self, documents: Documents) -> WordStream:
        """`documents` in the numbers of this model's vocabulary."""
        known = documents.of_vocabulary(lambda word: self.vocabulary.get(word, UNKNOWN))
        length = _lengths(documents.vocabulary)
        return WordStream(known[documents.word], length[documents.word], documents.document)

    def spelling_bits(self, length: np.ndarray) -> np.ndarray:
        """-log2 P0 of words with `length` characters."""
        return np.log2(self.alphabet) + np.log2(self.alphabet + 1) * np.minimum(length, LONGEST_WORD - 1)

    def surprisal(self, stream: WordStream, left_out: np.ndarray) -> np.ndarray:
        """-log2 P(word | previous word) of every word of `stream`, float64[t], finite.

        left_out: bool[documents of the stream]; true for documents that the model was fitted on. Their words are
        priced by the model that is fitted on everything else. Words and pairs that it never counted are let be.
        """
        evidence = self._evidence(stream)
        rows = np.flatnonzero(left_out[stream.document])
        if rows.size:
            self._leave_out(evidence, stream, rows)
        return self._bits(evidence, stream.length)

    def _bits(self, seen: Evidence, length: np.ndarray) -> np.ndarray:
        to_word = _ratio(seen.context_types, seen.context + seen.context_types)
        to_spelling = to_word * _ratio(seen.total_types, seen.total + seen.total_types)
        counted = seen.pair / np.maximum(seen.context + seen.context_types, 1)
        counted += to_word * seen.word / np.maximum(seen.total + seen.total_types, 1)
        spelling = self.spelling_bits(length)
        # The spelling of a long word underflows as a probability, so words without any count stay in bits.
        in_bits = spelling - np.log2(to_spelling)
        known = counted > 0
        in_bits[known] = -np.log2(counted[known] + to_spelling[known] * np.exp2(-spelling[known]))
        return in_bits

    def _evidence(self, stream: WordStream) -> Evidence:
        previous = stream.previous()
        known, has_context = stream.word != UNKNOWN, previous != UNKNOWN
        pair, _ = self._pairs(previous, stream.word)
        size = stream.word.size
        return Evidence(
            pair=pair,
            context=_gathered(self.context_counts, previous, has_context),
            context_types=_gathered(self.context_types, previous, has_context),
            word=_gathered(self.word_counts, stream.word, known),
            total=np.full(size, self.word_counts.sum()),
            total_types=np.full(size, len(self.vocabulary)),
        )

    def _pairs(self, previous: np.ndarray, word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count of each pair, and its position in `pair_keys`; zero and EMPTY where it was never seen."""
        count, position = np.zeros_like(word), np.full_like(word, EMPTY)
        possible = np.flatnonzero((previous != UNKNOWN) & (word != UNKNOWN))
        position[possible] = self._table.places(previous[possible] * len(self.vocabulary) + word[possible])
        seen = np.flatnonzero(position != EMPTY)
        count[seen] = self.pair_counts[position[seen]]
        return count, position

    @cached_property
    def _table(self) -> KeyTable:
        return KeyTable(self.pair_keys)

    def _leave_out(self, seen: Evidence, stream: WordStream, rows: np.ndarray) -> None:
        """Takes out of `seen`, at `rows`, what each document itself contributed, and never more than was counted."""
        size = len(self.vocabulary)
        document, word, previous = stream.document[rows], stream.word[rows], stream.previous()[rows]
        position = self._pairs(previous, word)[1]
        documents, document_row = np.unique(document, return_inverse=True)

        known = word != UNKNOWN
        own_words, word_row, own_word = _tally((document_row * size + word)[known])
        own_word = np.minimum(own_word, self.word_counts[own_words % size])
        only_here = own_word == self.word_counts[own_words % size]
        seen.word[rows[known]] -= own_word[word_row]
        seen.total[rows] -= _sums(own_words // size, own_word, documents.size)[document_row]
        seen.total_types[rows] -= _sums(own_words // size, only_here, documents.size)[document_row]

        paired, kinds = position != EMPTY, max(self.pair_keys.size, 1)
        own_pairs, pair_row, own_pair = _tally(document_row[paired] * kinds + position[paired])
        pair = own_pairs % kinds
        own_pair = np.minimum(own_pair, self.pair_counts[pair])
        only_here = own_pair == self.pair_counts[pair]
        seen.pair[rows[paired]] -= own_pair[pair_row]
        contexts, context_of_pair = np.unique(
            own_pairs // kinds * size + self.pair_keys[pair] // size, return_inverse=True
        )
        lost = [_sums(context_of_pair, values, contexts.size) for values in (own_pair, only_here)]
        inside = np.flatnonzero(np.isin(document_row * size + previous, contexts) & (previous != UNKNOWN))
        place = np.searchsorted(contexts, document_row[inside] * size + previous[inside])
        seen.context[rows[inside]] -= lost[0][place]
        seen.context_types[rows[inside]] -= lost[1][place]


def _tally(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different values in ascending order, the index of each value among them, and how often each occurs."""
    return np.unique(values, return_inverse=True, return_counts=True)


def _sums(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """int64[groups]: sum of the integers `values` in each group."""
    return np.bincount(group, values, groups).astype(np.int64)


def _gathered(values: np.ndarray, index: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """values[index] where `valid`, zero elsewhere."""
    result = np.zeros_like(index)
    result[valid] = values[index[valid]]
    return result


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 1 where nothing was seen: all of the probability is passed on."""
    return np.where(whole > 0, part / np.maximum(whole, 1), 1.0)
