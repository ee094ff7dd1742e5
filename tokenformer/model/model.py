"""The Tokenformer as a Nanotron model: a pipeline of blocks, and the loss for training."""

from functools import partial
from typing import Any

import torch
from nanotron import distributed as dist
from nanotron.config import ParallelismArgs
from nanotron.models import NanotronModel
from nanotron.models.llama import Embedding
from nanotron.parallel import ParallelContext
from nanotron.parallel.pipeline_parallel.block import PipelineBlock, TensorPointer
from nanotron.parallel.pipeline_parallel.p2p import P2P
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode
from nanotron.parallel.tensor_parallel.functional import sharded_cross_entropy
from nanotron.parallel.tensor_parallel.nn import TensorParallelColumnLinear
from nanotron.parallel.tied_parameters import tie_parameters
from nanotron.random import RandomStates
from torch import nn
from torch.nn import functional

from tokenformer.devices import default_device
from tokenformer.model.block import Norm, TokenformerBlock
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.flops import block_matrix_parameters, tokenformer_size
from tokenformer.model.init import initialise
from tokenformer.model.pattention import Pattention

TensorOrPointer = torch.Tensor | TensorPointer


class TokenEmbedding(Embedding):
    """Nanotron's embedding; with `document_mask` it also numbers the documents of each sample."""

    def __init__(self, tp_pg: dist.ProcessGroup, config: TokenformerConfig, parallel_config: ParallelismArgs | None):
        super().__init__(tp_pg=tp_pg, config=config, parallel_config=parallel_config)
        self.end_of_document = config.eos_token_id if config.document_mask else None

    def forward(self, input_ids: torch.Tensor, input_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        output = super().forward(input_ids=input_ids, input_mask=input_mask)
        if self.end_of_document is not None:
            ends = (input_ids == self.end_of_document).int()
            output["document_ids"] = ends.cumsum(-1) - ends  # the end token still belongs to its document
        return output


class TokenformerModel(nn.Module):
    """Token ids to logits, as a graph of pipeline blocks."""

    def __init__(
        self, config: TokenformerConfig, parallel_context: ParallelContext, parallel_config: ParallelismArgs | None
    ):
        super().__init__()
        mode = parallel_config.tp_mode if parallel_config else TensorParallelLinearMode.ALL_REDUCE
        asynchronous = parallel_config.tp_linear_async_communication if parallel_config else False
        pg = parallel_context.tp_pg
        self.p2p = P2P(parallel_context.pp_pg, device=torch.device(default_device()))
        documents = {"document_ids"} if config.document_mask else set()
        self.token_position_embeddings = PipelineBlock(
            p2p=self.p2p,
            module_builder=TokenEmbedding,
            module_kwargs={"tp_pg": pg, "config": config, "parallel_config": parallel_config},
            module_input_keys={"input_ids", "input_mask"},
            module_output_keys={"input_embeds"} | documents,
        )
        self.decoder = nn.ModuleList(
            PipelineBlock(
                p2p=self.p2p,
                module_builder=partial(TokenformerBlock, layer=layer),
                module_kwargs={"config": config, "mode": mode, "pg": pg},
                module_input_keys={"hidden_states"} | documents,
                module_output_keys={"hidden_states"} | documents,
            )
            for layer in range(config.num_hidden_layers)
        )
        self.final_norm = PipelineBlock(
            p2p=self.p2p,
            module_builder=Norm,
            module_kwargs={
                "kind": config.final_norm,
                "hidden_size": config.hidden_size,
                "eps": config.norm_eps,
                "affine": True,
            },
            module_input_keys={"input"},
            module_output_keys={"hidden_states"},
        )
        self.lm_head = PipelineBlock(
            p2p=self.p2p,
            module_builder=TensorParallelColumnLinear,
            module_kwargs={
                "in_features": config.hidden_size,
                "out_features": config.vocab_size,
                "pg": pg,
                "bias": False,
                "mode": mode,
                "async_communication": asynchronous,
            },
            module_input_keys={"x"},
            module_output_keys={"logits"},
        )

    def forward(self, input_ids: TensorOrPointer, input_mask: TensorOrPointer) -> TensorOrPointer:
        """Ids and mask [batch, length] to this rank's logits [length, batch, vocabulary / tp]."""
        stream = self.token_position_embeddings(input_ids=input_ids, input_mask=input_mask)
        stream["hidden_states"] = stream.pop("input_embeds")
        for block in self.decoder:
            stream = block(**stream)
        hidden = self.final_norm(input=stream["hidden_states"])["hidden_states"]
        return self.lm_head(x=hidden)["logits"]


class CrossEntropyLoss(nn.Module):
    """Mean cross entropy in nats over the unmasked labels, in fp32, over a sharded vocabulary."""

    def __init__(self, tp_pg: dist.ProcessGroup):
        super().__init__()
        self.tp_pg = tp_pg

    def forward(
        self,
        sharded_logits: torch.Tensor,  # [length, batch, vocabulary / tp]
        label_ids: torch.Tensor,  # [batch, length]
        label_mask: torch.Tensor,  # [batch, length]
    ) -> dict[str, torch.Tensor]:
        labels, mask = label_ids.T.contiguous(), label_mask.T  # [length, batch]
        if self.tp_pg.size() == 1:
            losses = functional.cross_entropy(sharded_logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        else:
            losses = sharded_cross_entropy(sharded_logits, labels, group=self.tp_pg, dtype=torch.float).flatten()
        return {"loss": (losses * mask.flatten()).sum() / mask.sum()}


class TokenformerForTraining(NanotronModel):
    """The model type that `is_tokenformer_config: true` stands for."""

    def __init__(
        self,
        config: TokenformerConfig,
        parallel_context: ParallelContext,
        parallel_config: ParallelismArgs | None,
        random_states: RandomStates | None = None,
    ):
        super().__init__()
        self.model = TokenformerModel(config, parallel_context, parallel_config)
        self.loss = PipelineBlock(
            p2p=self.model.p2p,
            module_builder=CrossEntropyLoss,
            module_kwargs={"tp_pg": parallel_context.tp_pg},
            module_input_keys={"sharded_logits", "label_ids", "label_mask"},
            module_output_keys={"loss"},
        )
        self.config = config
        self.parallel_context = parallel_context
        self.parallel_config = parallel_config

    def forward(
        self,
        input_ids: TensorOrPointer,
        input_mask: TensorOrPointer,
        label_ids: TensorOrPointer,
        label_mask: TensorOrPointer,
    ) -> dict[str, TensorOrPointer]:
        """All [batch, length]; pipeline ranks that do not need one hand in a `TensorPointer`."""
        logits = self.model(input_ids=input_ids, input_mask=input_mask)
        return self.loss(sharded_logits=logits, label_ids=label_ids, label_mask=label_mask)

    def init_model_randomly(self, config) -> None:
        """Called by Nanotron's trainer with its whole config; see `init.initialise`."""
        module_id_to_prefix = {id(module): f"{name}." for name, module in self.named_modules()}
        module_id_to_prefix[id(self)] = ""

        def layout_independent_names():
            for name, param in self.named_parameters():
                if param.is_tied:
                    name = param.get_tied_info().get_full_name_from_module_id_to_prefix(module_id_to_prefix)
                yield name, param

        tau = {
            f"{name}.tau": module.stored_tau for name, module in self.named_modules() if isinstance(module, Pattention)
        }
        initialise(layout_independent_names(), self.config, config.model.init_method.std, config.general.seed, tau)

    def tie_custom_params(self) -> None:
        """A learned tau is whole on every tensor-parallel rank and Pattention sums its gradient: nothing is left to
        reduce, which Nanotron would do under REDUCE_SCATTER."""
        ranks = tuple(sorted(dist.get_process_group_ranks(self.parallel_context.tp_pg)))
        names = [f"{name}.tau" for name, module in self.named_modules() if isinstance(module, Pattention)]
        for name in names if self.config.tau == "learned" else []:
            tie_parameters(self, [(name, ranks)], self.parallel_context, reduce_op=None)

    def get_embeddings_lm_head_tied_names(self) -> list[str]:
        if not self.config.tie_word_embeddings:
            return []
        return ["model.token_position_embeddings.pp_block.token_embedding.weight", "model.lm_head.pp_block.weight"]

    def get_block_compute_costs(self) -> dict[Any, int]:
        """Cost a token of each pipeline block, in parameters multiplied, by what builds the block.

        Every layer has a builder of its own, so that layers with more parameter tokens weigh more.
        """
        builders = [block.module_builder for block in self.model.decoder]
        costs: dict[Any, int] = dict(zip(builders, block_matrix_parameters(self.config), strict=True))
        return costs | {TensorParallelColumnLinear: self.config.vocabulary * self.config.hidden_size}

    def get_flops_per_sec(
        self, iteration_time_in_sec: float, sequence_length: int, global_batch_size: int
    ) -> tuple[float, float]:
        """TFLOP/s of each process by formula (`flops`), for the model and, without recomputation, the hardware."""
        flops = tokenformer_size(self.config).training_flops_per_token(sequence_length)
        processes = self.parallel_context.world_pg.size()
        teraflops = flops * sequence_length * global_batch_size / (iteration_time_in_sec * processes * 1e12)
        return teraflops, teraflops
