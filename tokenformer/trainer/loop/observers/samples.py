"""Lets the live model continue texts while the run trains, for people to read."""

import torch
from nanotron import distributed as dist
from nanotron.parallel.pipeline_parallel.tensor_pointer import TensorPointer

from tokenformer.devices import default_device
from tokenformer.evaluation.sampling import Sampling, continue_text
from tokenformer.observers import Observer
from tokenformer.run_folder import keys
from tokenformer.trainer.loop.live_evaluation import inputs_of_stage


class Samples(Observer):
    """Adds a continuation of each prompt of `evaluation.samples` to the line of a step.

    Every replica writes the same texts, so that no rank waits for another one.
    """

    def after_step(self, trainer, step):
        config = trainer.run.config.evaluation
        if config is None or config.samples is None:
            return
        if not config.is_due(trainer.progress(step.number - 1).words, step.progress.words):
            return
        samples, encoder, tokenizer = config.samples, trainer.run.encoder, trainer.run.tokenizer
        sampling = Sampling(samples.new_tokens, samples.temperature, samples.top_p, trainer.run.config.general.seed)
        for number, prompt in enumerate(samples.prompts, start=1):
            pieces = continue_text(
                encoder.beginning(prompt),
                lambda tokens: next_logits(trainer, tokens, tokenizer.vocabulary_size),
                tokenizer.decode,
                sampling,
                encoder.prefix_token,
                trainer.sequence_length,
            )
            step.measured[keys.of_part(keys.SAMPLE, str(number))] = prompt + "".join(pieces)


@torch.no_grad()
def next_logits(trainer, tokens: list[int], vocabulary: int) -> torch.Tensor:
    """Logits float [vocabulary] of the token after some, the same on every rank; a collective of tensor and pipeline
    parallelism."""
    model, context, device = trainer.unwrapped_model, trainer.parallel_context, default_device()
    padding = -len(tokens) % context.tp_pg.size()  # a sequence is cut over these ranks where tp_mode says so
    ids = torch.tensor([[*tokens, *[tokens[-1]] * padding]])
    logits = model.model(**inputs_of_stage(model, context, ids))  # [length, 1, vocabulary / tp]
    width = trainer.model_config.vocab_size // context.tp_pg.size()
    if isinstance(logits, TensorPointer):
        holder = logits.group_rank
        whole = torch.empty(width * context.tp_pg.size(), device=device)
    else:
        holder = dist.get_rank(context.pp_pg)
        own = logits[len(tokens) - 1, 0].float().contiguous()
        shards = [torch.empty_like(own) for _ in range(context.tp_pg.size())]
        torch.distributed.all_gather(shards, own, group=context.tp_pg)
        whole = torch.cat(shards)
    source = torch.distributed.get_global_rank(context.pp_pg, holder)
    torch.distributed.broadcast(whole, source, group=context.pp_pg)
    return whole[:vocabulary]
