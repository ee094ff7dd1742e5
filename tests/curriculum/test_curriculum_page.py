"""What docs/curriculum.md shows is what there is."""

import re

import yaml

from tests.support.places import REPOSITORY
from tokenformer.config.added_sections import Curriculum
from tokenformer.config.building import build, build_named
from tokenformer.curriculum import ORDERINGS, SELECTIONS
from tokenformer.curriculum.budget import number_of_words
from tokenformer.curriculum.context_length import ContextSchedule
from tokenformer.curriculum.mixture import Mixture

PAGE = (REPOSITORY / "docs" / "curriculum.md").read_text(encoding="utf-8")


def test_its_example_is_a_curriculum():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    section = build(yaml.safe_load(block)["curriculum"], Curriculum, "curriculum", "curriculum.md")
    build_named(section.ordering, ORDERINGS)
    assert [build_named(selection, SELECTIONS).name for selection in section.selections] == ["prune"]
    assert Mixture.of(section.mixture, list(section.mixture)).totals.sum() > 0.999
    phases = [(phase.length, phase.until) for phase in section.context_length]
    assert ContextSchedule.of(phases, 512, 1000).ends == (600, 800, 1000)
    assert number_of_words(section.budget.words, "words") == 100_000_000


def test_it_names_every_ordering_and_selection():
    assert [name for name in (*ORDERINGS, *SELECTIONS) if f"`{name}`" not in PAGE] == []
