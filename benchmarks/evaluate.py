"""Our scoring of BLiMP beside lm-eval's `hf` backend, on the same model, texts and threads, in one run.

    python -m benchmarks.evaluate --data FOLDER [--share 0.02] [--hidden 384 --layers 12 --vocabulary 4096]

lm-eval is measured by `HFLM.loglikelihood`, without what its evaluator does before and after; ours from texts to sums.
Both get every N-th pair of every paradigm. lm-eval sorts by length, so its cost a text hardly depends on N; ours does,
since more texts share more prefixes: the whole of BLiMP is faster for us than a share of it shows.
"""

import argparse
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring.machine import device_name
from tokenformer.data.tokenizer import load_tokenizer, train_tokenizer
from tokenformer.evaluation.huggingface_network import HuggingFaceNetwork
from tokenformer.evaluation.networks import log_probabilities
from tokenformer.evaluation.prefix_tree import ScoringPlan
from tokenformer.evaluation.requests import TextEncoder, encoded_requests
from tokenformer.evaluation.task_data import load_task
from tokenformer.evaluation.task_files import find_tasks

BATCH_SIZES = (1, 64, "auto")
"""1 is lm-eval's default; auto is measured as lm-eval itself chooses."""


def texts_of_blimp(data: Path, every: int) -> list[str]:
    """The wrong and the right sentence of every pair that is taken."""
    (task,) = find_tasks(["blimp"])
    items = load_task(task, data, fast=False).items.values()
    return [choice for part in items for item in part[::every] for choice in item.choices]


def random_llama(vocabulary: int, hidden: int, layers: int):
    """A Llama whose logits are spread like those of a trained one."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    heads = max(1, hidden // 64)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=256,
        initializer_range=0.1,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


@dataclass(frozen=True)
class Timed:
    """The result; seconds on the clock; and seconds of all cores of this process, which others disturb little."""

    sums: np.ndarray
    seconds: float
    processor_seconds: float


def timed(function: Callable[[], list[float]]) -> Timed:
    started, used = time.perf_counter(), time.process_time()
    found = function()
    return Timed(np.array(found), time.perf_counter() - started, time.process_time() - used)


def lm_eval_sums(model, tokenizer, texts: list[str], batch_size: int | str) -> list[float]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    backend = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=256)
    asked = [Instance("loglikelihood", {}, ("", text), number) for number, text in enumerate(texts)]
    return [value for value, _ in backend.loglikelihood(asked, disable_tqdm=True)]


def our_sums(model, tokenizer, texts: list[str]) -> list[float]:
    def encode(batch: list[str]) -> list[list[int]]:
        return tokenizer(batch, add_special_tokens=False)["input_ids"] if batch else []

    network = HuggingFaceNetwork(model)
    assert network.shares_prefixes, network.reason
    requests = encoded_requests([("", text) for text in texts], TextEncoder(encode, encode, 0), network.max_length)
    return log_probabilities(network, requests)[0]


def report(name: str, theirs: Timed, ours: Timed) -> None:
    decisions, our_decisions = (np.sign(found.sums[1::2] - found.sums[::2]) for found in (theirs, ours))
    print(
        f"{name:<28} {theirs.seconds:8.2f} s ({theirs.seconds / ours.seconds:5.2f}x ours), processor "
        f"{theirs.processor_seconds:8.2f} s ({theirs.processor_seconds / ours.processor_seconds:5.2f}x ours); "
        f"{int((decisions != our_decisions).sum())} of {len(decisions)} pairs decided otherwise, largest difference "
        f"{np.abs(theirs.sums - ours.sums).max():.1e} nats",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="as of tokenformer eval")
    parser.add_argument("--share", type=float, default=0.02, help="of the pairs of every paradigm")
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokenizer", type=Path, default=Path("data/benchmark-tokenizer"), help="made if not there")
    parser.add_argument("--batch-sizes", nargs="+", default=[str(size) for size in BATCH_SIZES])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    folder = arguments.tokenizer.with_name(f"{arguments.tokenizer.name}-{arguments.vocabulary}")
    if not folder.is_dir():
        train_tokenizer(iter(texts_of_blimp(arguments.data, every=1)), arguments.vocabulary, folder)
    vocabulary = load_tokenizer(folder).vocabulary_size
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    texts = texts_of_blimp(arguments.data, every=round(1 / arguments.share))
    model = random_llama(arguments.vocabulary, arguments.hidden, arguments.layers)
    print(
        f"{device_name('cpu')}, {arguments.threads} threads, torch {torch.__version__}; Llama of {arguments.layers} "
        f"layers, width {arguments.hidden}, vocabulary {arguments.vocabulary} (tokenizer {vocabulary}), "
        f"{model.num_parameters():,} parameters; {len(texts):,} sentences"
    )
    our_sums(model, tokenizer, texts[:200])
    ours = timed(lambda: our_sums(model, tokenizer, texts))
    report("ours", ours, ours)
    for size in arguments.batch_sizes:
        batch_size = int(size) if size.isdecimal() else size
        theirs = timed(lambda batch_size=batch_size: lm_eval_sums(model, tokenizer, texts, batch_size))
        report(f"lm-eval hf, batch size {size}", theirs, ours)
    _report_sharing(tokenizer, arguments.data, texts)


def _report_sharing(tokenizer, data: Path, texts: list[str]) -> None:
    """How many tokens are read of those that there are, in what was measured and in the whole of BLiMP."""

    def encode(batch: list[str]) -> list[list[int]]:
        return tokenizer(batch, add_special_tokens=False)["input_ids"] if batch else []

    for name, some in (("these sentences", texts), ("the whole of BLiMP", texts_of_blimp(data, every=1))):
        requests = encoded_requests([("", text) for text in some], TextEncoder(encode, encode, 0))
        whole = sum(len(request.tokens) - 1 for request in requests)
        read = ScoringPlan(requests, share_prefixes=True).tokens
        print(f"{name}: {read:,} of {whole:,} tokens are read, {whole / read:.2f} times fewer")


if __name__ == "__main__":
    main()
