"""What happened: incidents, found, attributed, priced and explained.

`frontierlab.diagnose` is the way in. `localise` names what explains a deviation; it is a pure
function.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
