"""Jobs: long work that is submitted from a notebook and can be followed, cancelled and found again.

`submit` returns a `Job`; `jobs` lists all jobs of the data folder. The record of a job is a file in the data folder. It
outlives the notebook, the process that runs the job, and the broker that carries its message.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
