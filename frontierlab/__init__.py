"""Frontier query logs: taken, completed, stored, filtered and plotted.

Importing this does nothing but name things: each module is loaded when it is first used, so that
a script that reads a dataset needs neither Spark, Bokeh nor Celery.
"""

import lazy_loader as _lazy

from frontierlab._version import __version__ as __version__

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted([*__all__, "__version__"])
