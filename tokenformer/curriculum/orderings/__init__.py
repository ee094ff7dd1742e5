"""In which order documents are read.

An ordering permutes the copies that were chosen (`copies.choose_copies`) and leaves none out. Those that keep epochs
read every document of one before the next begins; `paced`, `paced_in_steps` and `staged` treat the copies of all epochs
as one pool.
"""

from tokenformer.curriculum.orderings.by_domain import DomainParameters, by_domain_order
from tokenformer.curriculum.orderings.interleaved import InterleavedParameters, interleaved_order
from tokenformer.curriculum.orderings.ordering import ORDERINGS, Ordering, find_ordering, ordering_parameters
from tokenformer.curriculum.orderings.paced import (
    PacedParameters,
    StepsParameters,
    paced_in_steps_order,
    paced_order,
)
from tokenformer.curriculum.orderings.shuffled import random_order
from tokenformer.curriculum.orderings.sorted_epochs import easy_to_hard_order, hard_to_easy_order
from tokenformer.curriculum.orderings.staged import StagedParameters, staged_order
from tokenformer.curriculum.orderings.warm_up import WarmUpParameters, warm_up_order

ORDERINGS |= {
    "random": Ordering("random", random_order),
    "easy_to_hard": Ordering("easy_to_hard", easy_to_hard_order),
    "hard_to_easy": Ordering("hard_to_easy", hard_to_easy_order),
    "paced": Ordering("paced", paced_order, PacedParameters),
    "paced_in_steps": Ordering("paced_in_steps", paced_in_steps_order, StepsParameters),
    "staged": Ordering("staged", staged_order, StagedParameters),
    "interleaved": Ordering("interleaved", interleaved_order, InterleavedParameters),
    "warm_up": Ordering("warm_up", warm_up_order, WarmUpParameters),
    "by_domain": Ordering("by_domain", by_domain_order, DomainParameters, mixes_sources=False),
}

__all__ = ["ORDERINGS", "find_ordering", "ordering_parameters"]
