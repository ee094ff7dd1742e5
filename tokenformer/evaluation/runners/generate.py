"""Continues texts by a stored model."""

from collections.abc import Iterator
from itertools import product

from tokenformer.errors import UserError
from tokenformer.evaluation.runners.opened_model import OpenedModel, opened_model
from tokenformer.evaluation.runners.options import GenerateOptions
from tokenformer.evaluation.sampling import Sampling, continue_text


def generate(options: GenerateOptions) -> Iterator[str]:
    """The texts with their prompts, piece by piece; an empty line stands between two of them.

    Raises:
        UserError: the model cannot be opened, or a setting is out of bounds.
    """
    if options.temperature < 0 or not 0 < options.top_p <= 1 or options.new_tokens < 1 or options.samples < 1:
        raise UserError(
            "temperature must be 0 or more, top-p above 0 and at most 1, new-tokens and samples 1 or more; here they "
            f"are {options.temperature}, {options.top_p}, {options.new_tokens} and {options.samples}"
        )
    with opened_model(options.source) as model:
        texts = product(options.prompt or ("",), range(options.samples))
        for index, (prompt, number) in enumerate(texts):
            yield ("\n\n" if index else "") + prompt
            sampling = Sampling(options.new_tokens, options.temperature, options.top_p, options.seed + number)
            yield from continuation(model, prompt, sampling)


def continuation(model: OpenedModel, prompt: str, sampling: Sampling) -> Iterator[str]:
    """As `continue_text`; the prompt, which may be empty, begins a text."""
    begin, network = model.encoder.beginning(prompt), model.network
    return continue_text(begin, network.next_logits, model.decode, sampling, model.end_of_text, network.max_length)
