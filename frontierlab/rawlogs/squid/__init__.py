"""Access logs of Squids: read, stored, counted, drawn, and replayed.

`read_squid_logs` reads the log files; the filters ``hit_ratio_…`` count what the Squids did, and `plots` draws that;
`fetch_ratio` is f/r as WLCG's monitor counts it; `what_caches_did` sets it beside what Frontier saw; and
`what_if_at_squids` replays the requests on coarser grids of IOVs. `write_squid_logs` writes the sample world as such
logs, with the truth about them.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
