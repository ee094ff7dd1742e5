"""The model card of an export, README.md, filled from what is known of the training."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from tokenformer import __version__
from tokenformer.console import printable
from tokenformer.conversion.training_facts import TrainingFacts, corpus_folder
from tokenformer.model.flops import model_size

UNKNOWN = "not recorded"


def model_card(facts: TrainingFacts, name: str, model_type: str) -> str:
    """The text of README.md, with Hugging Face's front matter.

    Args:
        name: of the model, its title.
        model_type: a key of `formats.FORMATS`.
    """
    sections = [
        _front_matter(facts, model_type),
        f"# {_plain(name)}",
        _introduction(facts, model_type),
        _usage(model_type),
    ]
    sections += [
        "## Training",
        _table(("", ""), _training_rows(facts)),
        *_data(facts),
        *_growth(facts),
        *_losses(facts),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(facts: TrainingFacts, model_type: str) -> str:
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation", f"tags: [{model_type}, nanotron]"]
    if facts.corpus is not None and len(facts.corpus.language) == 2:
        lines.insert(1, f"language: {facts.corpus.language}")
    return "\n".join([*lines, "---"])


def _introduction(facts: TrainingFacts, model_type: str) -> str:
    config = facts.stored.model_config
    size = model_size(config)
    kind = (
        "Tokenformer ([Wang et al. 2024](https://arxiv.org/abs/2410.23168))" if model_type == "tokenformer" else "Llama"
    )
    return (
        f"A {kind} of {size.parameters:,} parameters, {size.non_embedding_parameters:,} without embeddings: "
        f"{config.num_hidden_layers} layers of width {config.hidden_size}, {config.num_attention_heads} heads, "
        f"{config.max_position_embeddings} positions. Trained with Nanotron by tokenformer {__version__}, from which "
        f"this folder was exported."
    )


def _usage(model_type: str) -> str:
    trust = ", trust_remote_code=True" if model_type == "tokenformer" else ""
    return (
        "```python\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'model = AutoModelForCausalLM.from_pretrained("PATH"{trust})\n'
        'tokenizer = AutoTokenizer.from_pretrained("PATH", trust_remote_code=False)\n'
        "```\n\n"
        "It loads with transformers 4.51.3 to 5. The tokenizer adds no tokens to a text; in training each text "
        "followed the `eos_token` of another."
    )


def _number(value: float | None, form: str = ",.0f") -> str:
    return UNKNOWN if value is None else format(value, form)


def _training_rows(facts: TrainingFacts) -> Iterator[tuple[str, str]]:
    yield "step", f"{facts.stored.step:,}"
    yield "words seen, repeats counted", _number(facts.words)
    yield "tokens seen", _number(facts.tokens)
    yield "training FLOPs", _number(facts.training_flops, ".3e")
    yield "seed", str(UNKNOWN if facts.seed is None else facts.seed)
    yield "dtype of the weights", str(facts.stored.dtype).removeprefix("torch.")
    if facts.run is not None:
        yield "run", facts.run.name
        yield "learning rate", str(facts.run.config["optimizer"]["learning_rate_scheduler"]["learning_rate"])
        yield "order of the text", json.dumps(facts.run.config["curriculum"]["ordering"])


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(_plain(str(cell)).replace('|', '/') for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that is neither HTML nor a link nor a second line, wherever it came from."""
    return escape(" ".join(printable(text).split()), quote=False).replace("](", "]\\(").replace("`", "'")


def _data(facts: TrainingFacts) -> list[str]:
    if facts.corpus is None:
        if facts.run is None:
            return ["## Data", f"{UNKNOWN.capitalize()}."]
        if facts.is_corpus_changed:
            return [
                "## Data",
                f"The corpus {_plain(corpus_folder(facts.run).name)} was prepared again after this training.",
            ]
        return ["## Data", f"The corpus {_plain(corpus_folder(facts.run).name)} was not at hand."]
    table, rows = facts.corpus.train, []
    for number, source in enumerate(facts.corpus.sources):
        of_source = table.source == number
        words = int(table.words[of_source].sum())
        rows.append((source, facts.corpus.weights[number], f"{int(of_source.sum()):,}", f"{words:,}"))
    intro = (
        f"Whitespace words of the training text, without repeats; language {facts.corpus.language}, complexity by "
        f"{facts.corpus.measure}."
    )
    return ["## Data", intro, _table(("source", "weight", "documents", "words"), rows)]


def _growth(facts: TrainingFacts) -> list[str]:
    events = facts.stored.growth.events if facts.stored.growth else []
    if not events:
        return ["## Growth", "The model kept its size."]
    rows = [
        (
            event.step,
            event.operator["name"],
            f"{event.parameters_before:,}",
            f"{event.parameters_after:,}",
            _number(event.loss_before, ".4f"),
            _number(event.loss_after, ".4f"),
        )
        for event in events
    ]
    header = ("after step", "operator", "parameters before", "after", "held-batch loss before", "after")
    return ["## Growth", _table(header, rows)]


def _losses(facts: TrainingFacts) -> list[str]:
    rows = [(f"training batch, step {facts.stored.step}", _number(facts.loss, ".4f"), "")]
    if facts.held_out is not None:
        step, held_out = facts.held_out_step, facts.held_out
        rows.append((f"held out, step {step}", _number(held_out.loss, ".4f"), _number(held_out.bits_per_byte, ".4f")))
        rows += [
            (f"held out, {level}", _number(loss, ".4f"), _number(bits, ".4f"))
            for level, (loss, bits) in held_out.by_level.items()
        ]
    return ["## Losses", _table(("", "nats a token", "bits a byte"), rows)]
