"""Caching efficiency: which folders waste Frontier's cache, how much, why, and what would help.

`efficiency` gives the figures of every folder and tag of a dataset; `explain` shows the queries of one against its
payloads; `what_if` says what a coarser grid of IOVs would have saved; `history` keeps results and compares them; `page`
writes them down for one detector group.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
