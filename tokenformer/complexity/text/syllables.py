"""Syllables of English words, counted by rule from the spelling.

Vowel groups are counted, then vowels that are only written are taken off and vowels that are spoken apart are added.
Measured against the CMU Pronouncing Dictionary on seven of the shared English corpora: 99 % of the running words and
96 % of 34,000 word types have a count that the dictionary gives.
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
    "mr": 2,
    "mrs": 2,
    "maybe": 2,
    "giant": 2,
    "giants": 2,
    "wicked": 2,
    "naked": 2,
    "crooked": 2,
    "ragged": 2,
    "rugged": 2,
    "wretched": 2,
    "colonel": 2,
    "wednesday": 2,
    "chocolate": 2,
    "vegetable": 3,
    "vegetables": 3,
    "recipe": 3,
    "whoever": 3,
}

_PARTS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d")
_POSSESSIVE = re.compile(r"'s$")


@lru_cache(maxsize=1 << 17)
def english_syllables(word: str) -> int:
    """Syllables, at least 1, of a normalised word in lower case.

    The parts of a hyphenated word add up; each digit counts one.
    """
    return sum(map(_part_syllables, _PARTS.findall(word))) or 1


def _part_syllables(part: str) -> int:
    if part in _IRREGULAR:
        return _IRREGULAR[part]
    stem = _POSSESSIVE.sub("s", part)
    groups = len(_VOWEL_GROUP.findall(stem))
    return max(groups - len(_SILENT.findall(stem)) + len(_APART.findall(stem)), 1)
