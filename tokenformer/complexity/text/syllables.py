"""Syllables of English and Swedish words, counted by rule from the spelling.

English: vowel groups are counted, then vowels that are only written are taken off and vowels that are spoken apart are
added. Measured against the CMU Pronouncing Dictionary on seven of the shared English corpora: 99 % of the running words
and 96 % of 34,000 word types have a count that the dictionary gives.

Swedish: nearly every written vowel is spoken as a syllable of its own; what is not comes from other languages. Measured
against the 20,000 words of the pronunciation lexicon of gruut-lang-sv 2.0.1: 98 % have its count, and most of the
others are listed there with the pronunciation of another form.
"""

import re
from functools import lru_cache

_VOWEL_GROUP = re.compile("[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ]+")

_SILENT = re.compile(
    "|".join(
        [
            r"(?<=[^aeiouyl])(?<![bcdgt]r)e$",  # make, but table, acre
            r"[aeiouylr]le$",  # while, belle
            r"(?<=[^aeiouylszxcg])(?<!sh)(?<!ch)(?<![bcdgt]r)es$",  # makes, but houses, wishes, acres
            r"[aeiouylr]les$",  # miles
            r"(?<=[^aeiouytdlr])ed$",  # walked, but wanted
            r"(?<=[aeiouylr][lr])ed$",  # called, stirred, but handled, hundred
            r"(?<!r)[gq]ues?$",  # vague, but argue
            r"[aeiouy][^aeiouylwx]e(?=(?:ful|less|ness|ly|ment|some|ty)s?(?:ly|ness)?$)",  # careful, ninety
            r"(?:[nr][cg]|dg)e(?=(?:ful|less|ness|ly|ment)s?$)",  # arrangement
            r"^(?:som|ther|wher|els|hom|lif|lik|tim|fir|sid|hors|bas|ston|driv|nam)e(?=[bcdfhklmnpstw][a-z]{2})",
            r"^fore(?=head|see|saw|tell|told|sight|most|ground|noon)",
            r"ica(?=lly$)",  # basically
            r"^eve(?=ry|ning)|^busi(?=ness)|^diffe(?=ren)|^inte(?=rest)|^gene(?=ral)",
        ]
    )
)

_APART = re.compile(
    "|".join(
        [
            r"[aeiouy]ing(?:s|ly)?$",  # going
            r"[aeou]y(?=[aeiou](?!s?$|d$))",  # player, but eyes, played
            r"[nr]y(?=one$)",  # anyone
            r"(?<![cgtsx])i(?:a(?!ge|r$|rly$)|o(?!ns?$)|u)",  # trial, radio, but social, marriage, familiar
            r"(?<!ll)(?<![nghstcx])ions?$",  # lion, but million, nation
            r"[ct]i(?=at[ei])",  # associate
            r"(?:[^aeiouyc][bflmnprt]|eas|heav|bus|nois)i(?:ers?|est)$",  # happier, easiest
            r"[^gqaeo]u[ae](?!s?$|d$)",  # usual, fuel
            r"[cdlprx]iet|[qu]uiet|[dlpr]ien[ct]|^sci(?=en)",  # society, quiet, experience, science
            r"po(?=e[mt])|cre(?=at[eio])|ide(?=a)|^re(?=ali)|the(?=[ao][trl])|^geo(?!rg)|vide(?=o)|are(?=as?$)",
            r"[dnr]e(?=ous)|se(?=um)|ru(?=in)|flu(?=id)",
            r"(?:s|th)ms?$",  # prism, rhythm
            r"[dst]n't$|[^aeiouy]'(?:ll|d|re)$",  # didn't, that'll
        ]
    )
)

_IRREGULAR = {
    2: re.compile("mrs?|maybe|giants?|wicked|naked|crooked|ragged|rugged|wretched|colonel|wednesday|chocolate"),
    3: re.compile("vegetables?|recipe|whoever"),
}

_ENGLISH_PARTS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d")
_POSSESSIVE = re.compile(r"'s$")


@lru_cache(maxsize=1 << 17)
def english_syllables(word: str) -> int:
    """Syllables, at least 1, of a normalised word in lower case.

    The parts of a hyphenated word add up; each digit counts one.
    """
    return sum(map(_english_syllables, _ENGLISH_PARTS.findall(word))) or 1


def _english_syllables(part: str) -> int:
    for syllables, words in _IRREGULAR.items():
        if words.fullmatch(part):
            return syllables
    stem = _POSSESSIVE.sub("s", part)
    groups = len(_VOWEL_GROUP.findall(stem))
    return max(groups - len(_SILENT.findall(stem)) + len(_APART.findall(stem)), 1)


_SWEDISH_VOWEL = re.compile("[aeiouyåäöàáâãæèéêëìíîïòóôõøœùúûüýÿ]")

_ONE_SYLLABLE = re.compile(
    "|".join(
        [
            r"(?<=[tsxg])io(?=n)",  # station, religion
            r"eau",  # byrå spelt bureau
            r"(?<![aeiouyåäö])au",  # paus, augusti
            r"(?<![aeiouyåäö])(?<!\bb)eu(?!m|s\b)",  # Europa, but beundra, museum, Zeus
            r"ou",  # rouge
        ]
    )
)

_SWEDISH_PARTS = re.compile(r"[^\W\d_]+|\d")


@lru_cache(maxsize=1 << 17)
def swedish_syllables(word: str) -> int:
    """Syllables, at least 1, of a normalised word in lower case; parts of a word add up, each digit counts one."""
    return sum(map(_swedish_syllables, _SWEDISH_PARTS.findall(word))) or 1


def _swedish_syllables(part: str) -> int:
    return max(len(_SWEDISH_VOWEL.findall(_ONE_SYLLABLE.sub("e", part))), 1)
