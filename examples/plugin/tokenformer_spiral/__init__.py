"""A plug-in: what is imported here enters its registries."""

from tokenformer.complexity import MEASURES
from tokenformer.curriculum import ORDERINGS
from tokenformer_spiral.commas import COMMAS
from tokenformer_spiral.spiral import Spiral

ORDERINGS.enter(Spiral)
MEASURES.enter(COMMAS)
