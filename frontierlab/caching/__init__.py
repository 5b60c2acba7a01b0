"""Caching efficiency: which folders waste Frontier's cache, how much, why, and what would help.

`efficiency` computes the figures of every folder and tag of a dataset. `explain` compares the queries of one folder and
tag with its payloads. `what_if` estimates the savings of a coarser grid of IOVs. `history` stores and compares results.
`page` writes an HTML page for one detector group.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
