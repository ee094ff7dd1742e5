"""The Tokenformer (Wang et al. 2024, arXiv:2410.23168) for transformers 4.51 to 5, as it was trained with Nanotron.

A copy lies in every export, so it imports torch, transformers and its neighbours alone.
"""

import dataclasses
from typing import Any, cast

import torch
import transformers
from torch import nn
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    CausalLMOutputWithPast,
    SequenceClassifierOutputWithPast,
)

from .configuration_tokenformer import TokenformerConfig
from .layers_tokenformer import Norm, Pattention, TokenformerBlock, rotation

# Newer transformers call `past_key_values` the `cache`; what comes in may have either name, what goes out its own.
OUTPUTS = {field.name for field in dataclasses.fields(BaseModelOutputWithPast)}
CACHE = "cache" if "cache" in OUTPUTS else "past_key_values"
TIED = {"lm_head.weight": "model.embed_tokens.weight"}


def document_numbers(input_ids: torch.Tensor, end_of_document: int) -> torch.Tensor:
    """Number of the document of each token [batch, length]; an end token is of the document that it ends."""
    ends = (input_ids == end_of_document).int()
    return ends.cumsum(-1) - ends


def attended_mask(
    attention_mask: "torch.Tensor | None",
    documents: "torch.Tensor | None",
    past: int,
    length: int,
    device: torch.device,
) -> torch.Tensor:
    """Which of the `past + length` keys each of `length` queries attends to: bool [batch or 1, 1, length, keys].

    Always causal. Every query attends to itself, padding too, so that no row is empty.

    Args:
        attention_mask: [batch, keys], [batch, length, keys] or [batch, 1, length, keys]; not 0 (in four dimensions and
            as a float: 0) is attended.
        documents: number of the document of every key, [batch, keys].

    Raises:
        ValueError: the mask is not of this many keys.
    """
    slots = torch.arange(past + length, device=device)
    mask = (slots <= slots[past:, None])[None, None]
    if attention_mask is not None:
        if attention_mask.ndim == 4:
            attention_mask = attention_mask[..., : past + length]
        if attention_mask.shape[-1] != past + length:
            raise ValueError(
                f"attention_mask is of {attention_mask.shape[-1]} tokens, and there are {past + length}, {past} of "
                f"them in the cache; it has to cover all"
            )
        is_additive = attention_mask.ndim == 4 and attention_mask.is_floating_point()
        allowed = attention_mask == 0 if is_additive else attention_mask != 0
        while allowed.ndim < 4:
            allowed = allowed.unsqueeze(1)
        mask = mask & allowed
    if documents is not None:
        mask = mask & (documents[:, None, past:, None] == documents[:, None, None, :])
    return mask | (slots == slots[past:, None])


class TokenformerPreTrainedModel(PreTrainedModel):
    config: TokenformerConfig
    config_class = TokenformerConfig
    base_model_prefix = "model"
    _no_split_modules = ["TokenformerBlock"]
    _supports_sdpa = True
    _supports_cache_class = True  # asked by transformers 4

    def _init_weights(self, module: nn.Module) -> None:
        """As training with the official initialisation. `nn.init` is what transformers 5 keeps off loaded weights."""
        std = self.config.initializer_range
        if isinstance(module, Pattention):
            nn.init.normal_(module.key_tokens, std=std)
            nn.init.normal_(module.value_tokens, std=2 / (self.config.num_hidden_layers * self.config.hidden_size**0.5))
            if module.tau is not None and not getattr(module.tau, "_is_hf_initialized", False):
                with torch.no_grad():
                    module.tau.copy_(torch.tensor(module.stored_tau))
        elif isinstance(module, Norm) and module.weight is not None:
            nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)

    def as_output(self, output, return_dict: "bool | None"):
        """The output, or the tuple of what it holds."""
        is_dict = self.config.return_dict if return_dict is None else return_dict
        return output if is_dict else output.to_tuple()


class TokenformerModel(TokenformerPreTrainedModel):
    """Ids to hidden states."""

    def __init__(self, config: TokenformerConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(TokenformerBlock(config, layer) for layer in range(config.num_hidden_layers))
        self.final_norm = Norm(config.final_norm, config.hidden_size, config.norm_eps, affine=True)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embed_tokens = value

    def positions(self, given, attention_mask, past: int, length: int, device: torch.device) -> torch.Tensor:
        """Positions [batch or 1, length]; without any given, padding of a two-dimensional mask is not counted."""
        if given is None and attention_mask is not None and attention_mask.ndim == 2:
            given = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]
        elif given is None:
            given = torch.arange(past, past + length, device=device)[None]
        last, limit = int(given.max()), self.config.max_position_embeddings
        if last >= limit:
            raise ValueError(
                f"position {last} is past the last one: the model reads {limit} tokens (max_position_embeddings), so "
                f"shorten the input, or the text to generate"
            )
        return given

    def documents(self, input_ids, document_ids, past: int) -> "torch.Tensor | None":
        """Number of the document of every key, if attention stays within documents."""
        if not self.config.document_mask:
            return None
        if document_ids is None and (past or input_ids is None):
            raise ValueError(
                "this model attends within documents (document_mask): with a cache or inputs_embeds give document_ids, "
                "the number of the document of every token up to now"
            )
        return document_numbers(input_ids, self.config.eos_token_id) if document_ids is None else document_ids

    def cache_of(self, cache, past_key_values, use_cache: "bool | None"):
        """The cache that was given under either name, a new one, or None."""
        given = past_key_values if cache is None else cache
        is_wanted = self.config.use_cache if use_cache is None else use_cache
        return DynamicCache() if given is None and is_wanted else given

    def forward(
        self,
        input_ids: "torch.LongTensor | None" = None,
        attention_mask: "torch.Tensor | None" = None,
        position_ids: "torch.LongTensor | None" = None,
        cache=None,
        inputs_embeds: "torch.FloatTensor | None" = None,
        use_cache: "bool | None" = None,
        output_attentions: "bool | None" = None,
        output_hidden_states: "bool | None" = None,
        return_dict: "bool | None" = None,
        past_key_values=None,
        document_ids: "torch.LongTensor | None" = None,
        **kwargs,
    ):
        """`past_key_values` is transformers 4's name of `cache`. `hidden_states` are those after the embedding and
        after each block, the last one normed."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if output_attentions:
            raise ValueError("attention weights are not kept by this model; leave output_attentions out")
        hidden = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        cache = self.cache_of(cache, past_key_values, use_cache)
        past, length = (0 if cache is None else int(cache.get_seq_length())), hidden.shape[1]
        positions = self.positions(position_ids, attention_mask, past, length, hidden.device)
        documents = self.documents(input_ids, document_ids, past)
        is_static = getattr(cache, "is_compileable", False)
        is_plain = attention_mask is None and documents is None and not past and not is_static
        mask = None if is_plain else attended_mask(attention_mask, documents, past, length, hidden.device)
        turns = rotation(self.config, positions, hidden.dtype)
        states = [hidden]
        for layer in self.layers:
            hidden = layer(hidden, turns, mask, cache)
            states.append(hidden)
        hidden = states[-1] = self.final_norm(hidden)
        is_asked = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        states = tuple(states) if is_asked else None
        kept: dict[str, Any] = {CACHE: cache}
        output = BaseModelOutputWithPast(last_hidden_state=hidden, hidden_states=states, **kept)
        return self.as_output(output, return_dict)


class TokenformerForCausalLM(TokenformerPreTrainedModel, GenerationMixin):
    _tied_weights_keys: Any = TIED if int(transformers.__version__.partition(".")[0]) >= 5 else list(TIED)

    def __init__(self, config: TokenformerConfig):
        super().__init__(config)
        self.model = TokenformerModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def prepare_inputs_for_generation(self, input_ids, **kwargs):
        # transformers declares for its mixin more than its own base class has.
        inputs = super().prepare_inputs_for_generation(input_ids, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        if self.config.document_mask:
            inputs["document_ids"] = document_numbers(input_ids, self.config.eos_token_id)
        return inputs

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        labels=None,
        logits_to_keep=0,
        return_dict=None,
        **kwargs,
    ):
        """As `TokenformerModel`, and `labels` [batch, length] (-100 is not counted) for a loss."""
        output = self.model(input_ids, attention_mask, position_ids, return_dict=True, **kwargs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(output.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
        cache = {CACHE: getattr(output, CACHE)}
        output = CausalLMOutputWithPast(loss=loss, logits=logits, hidden_states=output.hidden_states, **cache)
        return self.as_output(output, return_dict)


class TokenformerForSequenceClassification(TokenformerPreTrainedModel):
    """A linear head on the last token of each sequence that is no padding."""

    def __init__(self, config: TokenformerConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = TokenformerModel(config)
        self.score = nn.Linear(config.hidden_size, cast(int, config.num_labels), bias=False)
        self.post_init()

    def last_tokens(self, input_ids, attention_mask, hidden: torch.Tensor) -> torch.Tensor:
        """Index of the last token of each sequence, by the mask, or without one by `pad_token_id`."""
        is_text = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        if attention_mask is not None and attention_mask.ndim == 2:
            is_text = attention_mask != 0
        elif input_ids is not None and self.config.pad_token_id is not None:
            is_text = input_ids != self.config.pad_token_id
        return (torch.arange(hidden.shape[1], device=hidden.device) * is_text).argmax(-1)

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, labels=None, return_dict=None, **kwargs):
        """As `TokenformerModel`, and `labels` [batch] for a loss; logits [batch, labels]."""
        output = self.model(input_ids, attention_mask, position_ids, return_dict=True, **kwargs)
        hidden = output.last_hidden_state
        last = self.last_tokens(input_ids, attention_mask, hidden)
        logits = self.score(hidden[torch.arange(len(hidden), device=hidden.device), last])
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config, logits=logits)
        cache = {CACHE: getattr(output, CACHE)}
        output = SequenceClassifierOutputWithPast(loss=loss, logits=logits, hidden_states=output.hidden_states, **cache)
        return self.as_output(output, return_dict)


# So that transformers 4 too saves this file with a model that was trained further.
for _auto_class, _class in {
    "AutoModel": TokenformerModel,
    "AutoModelForCausalLM": TokenformerForCausalLM,
    "AutoModelForSequenceClassification": TokenformerForSequenceClassification,
}.items():
    _class.register_for_auto_class(_auto_class)
