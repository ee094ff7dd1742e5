"""Silences the bars that Nanotron draws over the parameters of every checkpoint; a run shows one bar, its own."""

from nanotron.serialize import optimizer, weights

from tokenformer.trainer.bridge.repairs import replace

REPAIR = "Nanotron draws no bars over the parameters of a checkpoint"


def silence_checkpoint_bars() -> None:
    for module in (optimizer, weights):
        replace(module, "tqdm", lambda iterable, **options: iterable, REPAIR)
