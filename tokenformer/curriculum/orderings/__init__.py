"""In which order documents are read.

An ordering permutes the copies that were chosen (`copies.choose_copies`) and leaves none out. Those that keep epochs
read every document of one before the next begins; `paced`, `paced_in_steps` and `staged` treat the copies of all epochs
as one pool.
"""

from tokenformer.curriculum.orderings.by_epoch import ByDomain, EasyToHard, HardToEasy, Interleaved, Random, WarmUp
from tokenformer.curriculum.orderings.ordering import ORDERINGS, Ordering
from tokenformer.curriculum.orderings.paced import Paced, PacedInSteps, Staged

ORDERINGS.enter(Random, EasyToHard, HardToEasy, Paced, PacedInSteps, Staged, Interleaved, WarmUp, ByDomain)

__all__ = ["ORDERINGS", "Ordering"]
