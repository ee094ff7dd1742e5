"""Any model that we open as one of lm-eval's models. Importing this module registers it there as `tokenformer`:

    python -c "import tokenformer.evaluation.runners.lm_eval_model
    from lm_eval.__main__ import cli_evaluate; cli_evaluate()" \
        --model tokenformer --model_args pretrained=RUN/checkpoints/STEP --tasks lambada_openai

lm-eval scores its tasks its own way: ties go to whatever stands first. `tokenformer eval` scores ours.
"""

import atexit
from contextlib import ExitStack
from typing import Any

import torch

try:
    from lm_eval import utils
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
except ImportError as error:
    raise ImportError("this module is made of lm-eval: pip install tokenformer[eval]") from error

from tokenformer.errors import UserError
from tokenformer.evaluation.networks import log_probabilities
from tokenformer.evaluation.requests import truncated_request
from tokenformer.evaluation.runners.batch_size import parse_batch_size
from tokenformer.evaluation.runners.opened_model import OpenedModel, opened_model
from tokenformer.evaluation.runners.options import ModelSource
from tokenformer.evaluation.sampling import Sampling, continue_text

DEFAULT_GENERATED_TOKENS = 256


@register_model("tokenformer")
class TokenformerLM(TemplateLM):
    """A model of lm-eval over a Nanotron checkpoint, an export, or any Hugging Face model.

    Args:
        pretrained: as `ModelSource.model`, or a model that is open already.
        tokenizer, dtype, device, revision, trust_remote_code: as in `ModelSource`.
        batch_size: "auto" or the rows of a forward pass; scores do not depend on it.
        max_batch_size: lm-eval passes it; it has no meaning here.

    Raises, when made:
        UserError: the model cannot be opened.
    """

    def __init__(
        self,
        pretrained: str | OpenedModel,
        tokenizer: str | None = None,
        dtype: str = "auto",
        device: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        batch_size: int | str | None = "auto",
        max_batch_size: int | None = None,
    ):
        super().__init__()
        self._stack = ExitStack()
        atexit.register(self.close)
        if isinstance(pretrained, OpenedModel):
            self.opened, self.source = pretrained, None
        else:
            self.source = ModelSource(pretrained, tokenizer, dtype, device, revision, bool(trust_remote_code))
            self.opened = self._stack.enter_context(opened_model(self.source))
        self.batch_size = parse_batch_size(str(batch_size or "auto"))
        self._device = self.opened.network.device

    def close(self) -> None:
        """Gives back what the model holds of the process; done at its end by itself."""
        self._stack.close()

    @property
    def eot_token_id(self) -> int:
        """Ends a text."""
        return self.opened.end_of_text

    @property
    def prefix_token_id(self) -> int:
        """The prefix token, which a text without context follows."""
        return self.opened.encoder.prefix_token

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads."""
        return self.opened.network.max_length

    @property
    def tokenizer_name(self) -> str:
        """Marks lm-eval's cache of requests."""
        return (self.source.tokenizer or self.source.model if self.source else "opened").replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Token ids; `add_special_tokens` None leaves it to the tokenizer, unless the text begins with the prefix."""
        encoder = self.opened.encoder
        begins = string.startswith(self.opened.decode([encoder.prefix_token]))
        whole = add_special_tokens or (add_special_tokens is None and not begins)
        return (encoder.whole if whole else encoder.plain)([string])[0]

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        asked = [truncated_request(context, text, self.max_length) for _, context, text in requests]
        sums, best = log_probabilities(self.opened.network, asked, self.batch_size, greedy=True)
        answers = list(zip(sums, best or (), strict=True))
        for (texts, _, _), answer in zip(requests, answers, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(self, requests: list, disable_tqdm: bool = False) -> list[float]:
        """The log-probability of whole texts, of any length, in windows that do not overlap, as lm-eval cuts them."""
        windows, counts = [], []
        for (text,) in (request.args for request in requests):
            tokens = self.tok_encode(text)
            length = self.max_length or len(tokens)
            cut = utils.get_rolling_token_windows(tokens, self.prefix_token_id, max_seq_len=length, context_len=1)
            found = [(None, *utils.make_disjoint_window(window)) for window in cut]
            windows += found
            counts.append(len(found))
        values = iter(self._loglikelihood_tokens(windows))
        sums = [sum(next(values)[0] for _ in range(count)) for count in counts]
        for request, value in zip(requests, sums, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, value)
        return sums

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        """Greedy continuations up to a stop string, which is cut off.

        Raises:
            UserError: a request asks for sampling, or for as many tokens as the model reads.
        """
        return [self._generated(*request.args) for request in requests]

    @torch.inference_mode()
    def _generated(self, context: str, settings: dict[str, Any]) -> str:
        known = normalize_gen_kwargs(settings, DEFAULT_GENERATED_TOKENS)
        if known.get("do_sample"):
            raise UserError("this model decodes greedily; a task that samples cannot be evaluated with it")
        new = known["max_gen_toks"]
        if self.max_length is not None and new >= self.max_length:
            raise UserError(f"max_gen_toks {new} leaves no room for a context in the {self.max_length} that are read")
        end = self.opened.decode([self.eot_token_id])
        until = [stop for stop in handle_stop_sequences(known.get("until"), eos=end) if stop]
        tokens = self.tok_encode(context) or [self.prefix_token_id]
        if self.max_length is not None:
            tokens = tokens[-(self.max_length - new) :]
        greedy, opened = Sampling(new, temperature=0), self.opened
        pieces = continue_text(
            tokens, opened.network.next_logits, opened.decode, greedy, opened.end_of_text, self.max_length, until
        )
        text = "".join(pieces)
        text = postprocess_generated_text(text, stop=until, think_end_token=None)
        self.cache_hook.add_partial("generate_until", (context, settings), text)
        return text
