"""Random MoE programs of four kinds. A new operation of the language is one more generator function, in the file of its kind:
routers.py (scores, selections), edits.py, reads.py, experts.py, scalars.py; layers.py has whole layers.
"""

from builder import Builder
from identities import IDENTITIES, identities
from layers import TOKENS, layers
from properties import PROPERTIES, properties
from reads import routers

PROGRAMS, WEIGHTS = [routers, layers, properties, identities], [72, 16, 4, 8]
# What says one thing in two ways, by its kind of program.
EQUIVALENCES = {PROGRAMS.index(properties): PROPERTIES, PROGRAMS.index(identities): IDENTITIES}


def generate(function, seed, c, noise=None, keys=False):
    """The program of these decisions as a Builder."""
    b = Builder(function, seed, noise, keys)
    b.tokens = c.pick("tokens", TOKENS)
    c.pick("program", PROGRAMS, WEIGHTS)(b, c)
    return b
