"""A grid: a question with its decision rule, the arms that answer it, and what is fixed before the first run."""

import hashlib
import json
import os.path
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035 (as in config.sections, whose `build` reads these)

from tokenformer.config.building import build
from tokenformer.config.loading import read_extended, read_yaml
from tokenformer.errors import UserError

# ruff: noqa: UP006, UP045

OUTCOMES = ("mean_of_sources", "loss")
MATCHED = ("flops", "words")


@dataclass
class Arm:
    """One way to train.

    Args:
        title: in words.
        settings: dotted keys of a run's YAML, over those of the grid.
        match: what equals that of another arm: `flops`, `words` or both. One is met by the number of steps. With both,
            the steps are the other arm's, and the size of the model is solved for.
        growth: `steps_of: ARM` grows at the steps at which the other arm's run of the same seed does.
        seeds: instead of the grid's.
        tuned_as: the arm whose tuned value this one takes; None tunes it by trials of its own.
    """

    title: str = ""
    settings: Dict[str, Any] = field(default_factory=dict)
    match: Dict[str, str] = field(default_factory=dict)
    growth: Dict[str, str] = field(default_factory=dict)
    seeds: Optional[List[int]] = None
    tuned_as: Optional[str] = None


@dataclass
class Tuning:
    """The trials of every arm: one key, the same values, the same seeds; the value of the lowest mean outcome wins."""

    key: str
    values: List[Any]
    seeds: List[int] = field(default_factory=lambda: [1000])


@dataclass
class Contrast:
    """The outcome of `first` minus that of `second`; negative says that `first` is better.

    Confirmatory contrasts share one error rate (Holm). `expected` is what was written down before the runs.
    """

    name: str
    first: str
    second: str
    confirmatory: bool = False
    asks: str = ""
    expected: str = ""


@dataclass
class SpeedUp:
    """How many times the cost of `of` the arms `baseline`, of several budgets, need for the same loss."""

    of: List[str]
    baseline: List[str]


@dataclass
class Schedule:
    """The schedule of every run, for any number of steps: warm-up in steps, decay to `least_rate` as a share of them,
    and how many held-out losses are measured on the way."""

    warmup_steps: int = 50
    decay: float = 0.4
    least_rate: float = 0.0
    checks: int = 5


@dataclass
class Benchmarks:
    """Tasks that the final models are scored on, as `tokenformer eval` knows them."""

    tasks: List[str]
    data: Optional[str] = None
    fast: bool = True


@dataclass
class GridContent:
    """The content of a grid's YAML.

    Args:
        question, decision: in words; the decision rule is written before the first run.
        base: a run's YAML, relative to the grid.
        settings: dotted keys over it, for every arm.
        tail: share of every run, its end, that reads text at random, so that no arm is scored on what it read last.
        outcome: `mean_of_sources`, the mean of the held-out losses of the sources, or `loss`, over all tokens.
        sources: those of the held-out text that count for `mean_of_sources`; None is all.
        equivalent: two arms closer than this, in nats, are called equal.
        least_gain: a gain below this, in nats, is not called one.
        preparation: commands that make the corpus, for the page.
    """

    question: str
    decision: str
    base: str
    arms: Dict[str, Arm]
    seeds: List[int]
    contrasts: List[Contrast]
    title: str = ""
    expected: str = ""
    settings: Dict[str, Any] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    tail: float = 0.0
    tuning: Optional[Tuning] = None
    outcome: str = "mean_of_sources"
    sources: Optional[List[str]] = None
    equivalent: float = 0.02
    least_gain: float = 0.005
    significance: float = 0.05
    speed_up: List[SpeedUp] = field(default_factory=list)
    benchmarks: Optional[Benchmarks] = None
    preparation: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Grid:
    """A checked grid.

    Args:
        path: its file.
        content: what it says.
        base: path of the base config.
        hash: sha256 of the content and of the base config, without comments; any change makes another experiment.
    """

    path: Path
    content: GridContent
    base: Path
    hash: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def shown(self) -> str:
        """Its path below the repository, which does not depend on the machine."""
        return f"{self.path.resolve().parent.name}/{self.path.name}"

    @property
    def shown_base(self) -> str:
        return os.path.normpath(f"{self.path.resolve().parent.name}/{self.content.base}")

    @property
    def tuned_arms(self) -> list[str]:
        """The arms that have trials of their own."""
        return [name for name, arm in self.content.arms.items() if arm.tuned_as is None]

    def seeds_of(self, arm: str) -> list[int]:
        own = self.content.arms[arm].seeds
        return self.content.seeds if own is None else own

    @classmethod
    def read(cls, path: Path) -> "Grid":
        """Reads and checks a grid.

        Raises:
            UserError: whatever is wrong with the file, but for what needs the corpus.
        """
        path = Path(path)
        raw = read_yaml(path)
        content = build(raw, GridContent, "", str(path))
        base = path.parent / content.base
        _check(content, str(path))
        digest = hashlib.sha256(json.dumps([raw, read_extended(base)], sort_keys=True).encode()).hexdigest()
        return cls(path, content, base, digest)


def _check(content: GridContent, name: str) -> None:
    if not content.arms or not content.seeds:
        raise UserError(f"{name}: a grid needs arms and seeds; give at least one of each")
    if content.outcome not in OUTCOMES:
        raise UserError(f"{name}: outcome is {content.outcome!r}; choose one of {', '.join(OUTCOMES)}")
    for key, value in (("tail", content.tail), ("schedule.decay", content.schedule.decay)):
        if not 0 <= value < 1:
            raise UserError(f"{name}: {key} is {value}; it must be 0 or more and below 1")
    if content.schedule.checks < 1:
        raise UserError(f"{name}: schedule.checks is {content.schedule.checks}; it must be 1 or more")
    for arm_name, arm in content.arms.items():
        if "/" in arm_name or not arm_name:
            raise UserError(f"{name}: an arm is called {arm_name!r}; leave the slash out of its name")
        _check_arm(content, arm_name, arm, name)
        if content.tail and "curriculum.ordering" not in {**content.settings, **arm.settings}:
            raise UserError(
                f"{name}: tail is {content.tail}; write into settings which curriculum.ordering is before it"
            )
    for contrast in content.contrasts:
        for arm_name in (contrast.first, contrast.second):
            _known(content, arm_name, f"contrast {contrast.name}", name)
    for speed_up in content.speed_up:
        for arm_name in (*speed_up.of, *speed_up.baseline):
            _known(content, arm_name, "speed_up", name)
    if content.tuning is not None and not (content.tuning.values and content.tuning.seeds):
        raise UserError(f"{name}: tuning needs values and seeds; give at least one of each, or leave tuning out")


def _check_arm(content: GridContent, arm_name: str, arm: Arm, name: str) -> None:
    where = f"arms.{arm_name}"
    for key, other in arm.match.items():
        if key not in MATCHED:
            raise UserError(f"{name}: {where}.match has the key {key!r}; choose {' or '.join(MATCHED)}")
        _known(content, other, f"{where}.match", name)
    if set(arm.growth) - {"steps_of"}:
        raise UserError(f"{name}: {where}.growth knows steps_of alone; write other keys of growth into settings")
    if "steps_of" in arm.growth:
        _known(content, arm.growth["steps_of"], f"{where}.growth.steps_of", name)
    if arm.tuned_as is not None:
        _known(content, arm.tuned_as, f"{where}.tuned_as", name)
        if content.arms[arm.tuned_as].tuned_as is not None:
            raise UserError(f"{name}: {where}.tuned_as names {arm.tuned_as}, which has no trials; name one that has")
    _check_circle(content, arm_name, (arm_name,), name)


def _check_circle(content: GridContent, arm_name: str, path: tuple[str, ...], name: str) -> None:
    arm = content.arms[arm_name]
    for other in {*arm.match.values(), *arm.growth.values()}:
        if other in path:
            raise UserError(f"{name}: the arms {' -> '.join((*path, other))} wait for each other; break the circle")
        if other in content.arms:
            _check_circle(content, other, (*path, other), name)


def _known(content: GridContent, arm_name: str, where: str, name: str) -> None:
    if arm_name not in content.arms:
        raise UserError(f"{name}: {where} names the arm {arm_name!r}; the arms are {', '.join(content.arms)}")
