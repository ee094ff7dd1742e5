"""The sections of a run's YAML that Nanotron does not have: curriculum, growth, validation and evaluation."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Union  # noqa: UP035 (Python 3.11's get_type_hints and dacite agree on these)

from tokenformer.config.keys import REQUIRED, key
from tokenformer.config.nanotron_sections import MOST_STEPS, MOST_TOKENS

# ruff: noqa: UP006, UP007, UP045


@dataclass
class WordBudget:
    """`words` is a number or text such as 10M; `max_epochs` bounds how often any document is read. None is no bound."""

    words: Optional[Union[int, float, str]] = key(
        None, "words to read, repeats counted: 10M; then tokens.train_steps: null"
    )
    max_epochs: Optional[int] = key(
        None, "how often a document may be read; more is an error", least=1, most=100_000, also=("epochs", "num_epochs")
    )


@dataclass
class ContextPhase:
    """A context of `length` tokens `until` a fraction of the run's steps; the last phase has no `until`."""

    length: int = key(REQUIRED, "tokens of context", least=1, most=MOST_TOKENS)
    until: Optional[float] = key(None, "share of the run's steps; the last phase has none", above=0, most=1)


@dataclass
class Curriculum:
    """In which order text is read: an ordering, and what it may read.

    `mixture` takes the place of the sources' weights. `smoothing` is of the complexity that triggers growth.
    """

    ordering: Dict[str, Any] = key({"name": "random"}, "which ordering, and its keys", registry="ordering")
    selections: List[Dict[str, Any]] = key([], "which documents may be read: a list of the above", registry="selection")
    mixture: Optional[Dict[str, Any]] = key(
        None, "shares of all sources, no weights: {a: 0.7, b: [[0, 0], [1, 0.3]]}, by progress"
    )
    context_length: Optional[List[ContextPhase]] = key(
        None, "tokens of context: [{length: 32, until: 0.6}, {length: 128}]; null: sequence_length"
    )
    budget: WordBudget = key(WordBudget(), "the length of the run in words")
    keep_neighbours: Optional[int] = key(
        None, "number of levels; in each, a source is read in the order of its files; null: off", least=1, most=1000
    )
    smoothing: float = key(
        0.98, "weight of the past in the moving average of complexity that the trigger reads", least=0, below=1
    )


@dataclass
class Growth:
    """When and how the model grows. A model type without an operator keeps its size."""

    trigger: Dict[str, Any] = key(REQUIRED, "when it grows: which trigger, and its keys", registry="trigger")
    operators: Dict[str, Union[List[Dict[str, Any]], Dict[str, Any]]] = key(
        REQUIRED, "how it grows, by model type; a type without an operator keeps its size", registry="growth operator"
    )
    earliest_step: int = key(0, "no growth before this step", least=0, most=MOST_STEPS)
    latest_step: Optional[int] = key(None, "no growth after this step; null: until the end", least=0, most=MOST_STEPS)
    minimum_steps_between: int = key(1, "smallest number of steps between two growth events", least=1, most=MOST_STEPS)
    tolerance: float = key(
        1e-4, "largest change of the held-batch loss at an exact growth, in nats", least=0, most=1000
    )
    new_moments: str = key(
        "keep", "Adam's moments of new elements; keep: what the operator says", choices=("keep", "zero", "mean")
    )
    learning_rate_follows_width: bool = key(
        True, "the operator scales learning rates, so that a wider model learns as fast"
    )
    warmup_steps: int = key(
        0, "steps in which the learning rate of new elements alone rises from 0", least=0, most=MOST_STEPS
    )
    learning_rate_factor: float = key(
        1.0,
        "learning rate of new elements, divided by that of the others, until the next event",
        above=0,
        most=1e6,
    )


@dataclass
class Validation:
    levels: Union[int, str] = key(
        "source",
        "held-out loss by source of the corpus, or by a number of complexity levels",
        choices=("source",),
        least=1,
        most=10_000,
    )
    batch_size: int = key(32, "windows a forward pass", least=1, most=65_536)


@dataclass
class Samples:
    """Continuations that the live model writes."""

    prompts: List[str] = key([""], "beginnings of texts that the model continues; an empty one: no beginning")
    new_tokens: int = key(40, "largest number of tokens of a continuation", least=1, most=10_000)
    temperature: float = key(0.8, "0: always the most probable token", least=0, most=100)
    top_p: float = key(
        0.95, "a token is drawn from the likeliest ones that have this probability together", above=0, most=1
    )


@dataclass
class Evaluation:
    """Tasks that are scored on the live model while it trains."""

    tasks: List[str] = key([], "names of tasks, as `tokenformer eval` knows them, or .yaml files; [] for none")
    data: Optional[str] = key(None, "folder with the tasks' files; null: $TOKENFORMER_EVALUATION_DATA, or the Hub")
    at_words: List[int] = key([], "numbers of words read after which to score", least=0)
    every_words: Optional[int] = key(
        None, "score also at every multiple of this number of words; null: only at_words", least=1
    )
    fast: bool = key(True, "a fixed tenth of the items; false: all")
    batch_size: Optional[int] = key(
        None, "texts of a forward pass; null: by the memory of the device", least=1, most=65_536
    )
    samples: Optional[Samples] = key(None, "texts that the model writes at each evaluation; null: none")

    def is_due(self, words_before: float, words: float) -> bool:
        """Tells whether a step that read from `words_before` to `words` words crossed one of the chosen numbers."""
        crosses_multiple = self.every_words is not None and words // self.every_words > words_before // self.every_words
        return crosses_multiple or any(words_before < chosen <= words for chosen in self.at_words)
