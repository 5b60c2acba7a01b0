"""Checks: what operators look at every hour, as findings, on an index or on datasets.

`run` looks at one window of time, or at each hour of a longer one, and returns `Findings`. The thresholds are the
settings that begin with ``check_``.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
