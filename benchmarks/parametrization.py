"""Does the best learning rate stay where it is when a Tokenformer gets more parameter tokens or more width?

    python -m benchmarks.parametrization --check coordinates [--steps 5] [--rate 4e-3]
    python -m benchmarks.parametrization --check sweep --corpus data/prepared [--steps 200] [--seeds 0]

`coordinates` needs no text. For each size it prints the root mean square of what the layers write before training, and
after a "+" by how much a few steps of Adam changed it, for `standard` and for `transfer`. Under a parametrization that
transfers the second number does not depend on the size. `sweep` trains small models at several rates in a plain loop
with the package's own model, initial weights and parameter groups: warm-up over a tenth of the steps, linear decay over
the last 40 %. It prints the held-out loss at each rate, and the best rate by a parabola through the lowest three.
"""

import argparse
import math
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from tokenformer.config.nanotron_sections import LearningRateScheduler, Optimizer
from tokenformer.model.config import TokenformerConfig
from tokenformer.model.parametrization import follows_size, scale_of

PARAMETRIZATIONS = ("standard", "transfer")
LENGTH, HEAD, STD, RATES = 128, 32, 0.09, (1e-3, 2e-3, 4e-3, 8e-3)
TOKENS = [(128, tokens) for tokens in (32, 64, 128, 256, 1024)]
WIDTHS = [(width, 64) for width in (64, 128, 256, 512)]
BOTH = [(width, width // 2) for width in (64, 128, 256, 512)]


def config_of(hidden: int, tokens: int, vocabulary: int, **options) -> TokenformerConfig:
    """A model of two layers with heads of 32 features and four times as many tokens in its feed-forward layers."""
    sizes = {"qkv_tokens": tokens, "output_tokens": tokens, "feed_forward_tokens": 4 * tokens}
    return TokenformerConfig(
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=max(1, hidden // HEAD),
        vocab_size=vocabulary,
        max_position_embeddings=LENGTH,
        rotary_fraction=1.0,
        **{**sizes, **options},
    )


@contextmanager
def models() -> Iterable[Callable]:
    """Gives a function from a config, a rate and a seed to a model with its optimizer, as a run has them."""
    from tokenformer.trainer.checkpoint.written import built_model, one_process

    with one_process() as context:
        from nanotron.optim.named_optimizer import NamedOptimizer

        from tokenformer.trainer.bridge.parameter_groups import split_into_groups

        def trained_from_here(config: TokenformerConfig, rate: float, seed: int):
            model = built_model(config, torch.float32, context)
            init = SimpleNamespace(init_method=SimpleNamespace(std=STD))
            model.init_model_randomly(SimpleNamespace(model=init, general=SimpleNamespace(seed=seed)))
            named = list(model.get_named_params_with_correct_tied())
            size = follows_size(config)
            factors = {name: scale_of(name, config).learning_rate for name, _ in named} if size else {}
            groups = split_into_groups(
                named, Optimizer(learning_rate_scheduler=LearningRateScheduler(learning_rate=rate)), factors
            )
            return model, NamedOptimizer(
                groups, lambda params: torch.optim.AdamW(params, betas=(0.9, 0.95), eps=1e-8, fused=True)
            )

        yield trained_from_here


def loss_of(model, windows: torch.Tensor) -> torch.Tensor:
    """Mean loss in nats of windows [batch, length + 1]."""
    ids, labels = windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
    mask = torch.ones_like(ids, dtype=torch.bool)
    return model(input_ids=ids, input_mask=mask, label_ids=labels, label_mask=mask)["loss"]


def step(model, optimizer, windows: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss_of(model, windows).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def made_windows(number: int, vocabulary: int, size: int = 4) -> torch.Tensor:
    """Text with something to learn, [size, length + 1]: each token is one of three that follow from the last."""
    generator = torch.Generator().manual_seed(number)
    text = [torch.randint(vocabulary, (size,), generator=generator)]
    for choice in torch.randint(3, (size, LENGTH), generator=generator).unbind(1):
        text.append((5 * text[-1] + 7 * choice + 1) % vocabulary)
    return torch.stack(text, 1)


def kind_of(module: str) -> str:
    last = module.replace(".pattention", "").replace(".pp_block", "").rpartition(".")[2]
    return "logits" if last == "lm_head" else last


def activations(model, windows: torch.Tensor) -> dict[str, torch.Tensor]:
    """The outputs of every Pattention and of the head, by name."""
    from tokenformer.model.pattention import pattentions_of

    found, names = {}, {id(module): name for name, module in model.named_modules()}
    hooks = []
    for module in model.modules():
        name = names[id(module)]
        if name.endswith((".output", ".pattention", ".lm_head.pp_block")):
            hooks.append(module.register_forward_hook(lambda _, __, out, name=name: found.update({name: out.detach()})))
        elif name.endswith(".qkv"):  # query, key and value are computed together, without calls of their own

            def note(module, inputs, _, name=name):
                outputs = pattentions_of([module.query, module.key, module.value], inputs[0])
                found.update(
                    {f"{name}.{kind}": out for kind, out in zip(("query", "key", "value"), outputs, strict=True)}
                )

            hooks.append(module.register_forward_hook(note))
    with torch.no_grad():
        loss_of(model, windows)
    for hook in hooks:
        hook.remove()
    return found


def coordinates(make: Callable, config: TokenformerConfig, rate: float, steps: int) -> dict[str, tuple[float, float]]:
    """By kind of layer, the root mean square of its output before training and that of the output's change."""
    model, optimizer = make(config, rate, seed=0)
    probe = made_windows(10**6, config.vocab_size)
    before = activations(model, probe)
    for number in range(steps):
        step(model, optimizer, made_windows(number, config.vocab_size))
    after, kinds = activations(model, probe), {}
    for name, value in before.items():
        sizes = value.square().mean().sqrt().item(), (after[name] - value).square().mean().sqrt().item()
        kinds.setdefault(kind_of(name), []).append(sizes)
    return {kind: tuple(np.mean(sizes, axis=0).tolist()) for kind, sizes in kinds.items()}


def print_coordinates(rate: float, steps: int) -> None:
    with models() as make:
        for parametrization in PARAMETRIZATIONS:
            for title, sizes in (("tokens", TOKENS), ("width", WIDTHS), ("both", BOTH)):
                print(f"{parametrization}, more {title}: before training, + change in {steps} steps at {rate:g}")
                for hidden, tokens in sizes:
                    config = config_of(hidden, tokens, 512, parametrization=parametrization)
                    found = coordinates(make, config, rate, steps)
                    cells = "  ".join(f"{kind} {size:.3f} + {change:.3f}" for kind, (size, change) in found.items())
                    print(f"  d {hidden:>3}, {tokens:>4} / {4 * tokens:>4} tokens:  {cells}", flush=True)


def windows_of(table) -> torch.Tensor:
    """The documents of one split of a corpus in a row, cut into windows [count, length + 1]."""
    documents = range(len(table))
    tokens = np.concatenate([np.asarray(table.shards.document_tokens(number), np.int64) for number in documents])
    count = len(tokens) // (LENGTH + 1)
    return torch.from_numpy(tokens[: count * (LENGTH + 1)].reshape(count, LENGTH + 1))


def held_out_loss(model, windows: torch.Tensor) -> float:
    with torch.no_grad():
        return float(np.mean([loss_of(model, part).item() for part in windows.split(32)]))


def trained_loss(make: Callable, config: TokenformerConfig, rate: float, steps: int, seed: int, text) -> float:
    """The held-out loss of a model after `steps` steps of 8 windows."""
    model, optimizer = make(config, rate, seed)
    order = np.random.default_rng(seed).permutation(len(text.train))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer.get_base_optimizer(),
        lambda done: min(1.0, (done + 1) / (0.1 * steps), (steps - done) / (0.4 * steps)),
    )
    for number in range(steps):
        step(model, optimizer, text.train[order[np.arange(8 * number, 8 * number + 8) % len(order)]])
        schedule.step()
    return held_out_loss(model, text.held_out)


def best_rate(losses: dict[float, float]) -> float:
    """Where a parabola over the logarithm of the rate, through the lowest loss and its neighbours, is lowest."""
    rates = sorted(losses)
    place = min(range(len(rates)), key=lambda index: losses[rates[index]])
    if place in (0, len(rates) - 1):
        return rates[place]
    around = rates[place - 1 : place + 2]
    square, linear, _ = np.polyfit([math.log(rate) for rate in around], [losses[rate] for rate in around], 2)
    return math.exp(-linear / (2 * square))


def print_sweep(arguments: argparse.Namespace) -> None:
    from tokenformer.data.corpus import PreparedCorpus

    corpus = PreparedCorpus.open(arguments.corpus)
    held_out = windows_of(corpus.validation)
    held_out = held_out[:: max(1, len(held_out) // 256)][:256]  # of every source
    text = SimpleNamespace(train=windows_of(corpus.train), held_out=held_out)
    with models() as make:
        for parametrization in arguments.parametrizations:
            for hidden, tokens in arguments.sizes:
                config = config_of(hidden, tokens, corpus.vocabulary_size, parametrization=parametrization)
                losses = {}
                for rate in arguments.rates:
                    runs = [trained_loss(make, config, rate, arguments.steps, seed, text) for seed in arguments.seeds]
                    losses[rate] = float(np.mean(runs))
                cells = "  ".join(f"{rate:g} {loss:.4f}" for rate, loss in losses.items())
                name = f"{parametrization} d {hidden}, {tokens} / {4 * tokens} tokens"
                print(f"{name}:  {cells}  best rate {best_rate(losses):.2e}", flush=True)


def _size(text: str) -> tuple[int, int]:
    hidden, tokens = text.split("x")
    return int(hidden), int(tokens)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", choices=("coordinates", "sweep"), required=True)
    parser.add_argument("--corpus", type=Path, help="folder that `tokenformer prepare` wrote, for the sweep")
    parser.add_argument("--steps", type=int, help="5 for coordinates, 200 for the sweep")
    parser.add_argument("--rate", type=float, default=4e-3, help="of coordinates")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="of the sweep")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the sweep")
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(128, 64), (128, 128), (128, 256)], metavar="DxN")
    parser.add_argument("--parametrizations", nargs="+", choices=PARAMETRIZATIONS, default=PARAMETRIZATIONS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.check == "coordinates":
        print_coordinates(options.rate, options.steps or 5)
    elif options.corpus is None:
        parser.error("--check sweep needs --corpus, a folder that `tokenformer prepare` wrote")
    else:
        options.steps = options.steps or 200
        print_sweep(options)


if __name__ == "__main__":
    main()
