"""In which order documents are read.

An ordering permutes the copies that were chosen (`copies.choose_copies`) and leaves none out. Those that keep epochs
read every document of one before the next begins; `paced`, `paced_in_steps` and `staged` treat the copies of all epochs
as one pool.
"""

from tokenformer.curriculum.orderings.by_domain import ByDomain
from tokenformer.curriculum.orderings.interleaved import Interleaved
from tokenformer.curriculum.orderings.ordering import ORDERINGS, Ordering
from tokenformer.curriculum.orderings.paced import Paced, PacedInSteps
from tokenformer.curriculum.orderings.shuffled import Random
from tokenformer.curriculum.orderings.sorted_epochs import EasyToHard, HardToEasy
from tokenformer.curriculum.orderings.staged import Staged
from tokenformer.curriculum.orderings.warm_up import WarmUp

ORDERINGS.enter(Random, EasyToHard, HardToEasy, Paced, PacedInSteps, Staged, Interleaved, WarmUp, ByDomain)

__all__ = ["ORDERINGS", "Ordering"]
