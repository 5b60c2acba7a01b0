"""What a dataset lacks, and the warnings that say so."""

from frontierlab.storage.losses import (
    DocumentsLost,
    LimitReached,
    Loss,
    NothingFound,
    NothingKept,
    OldCatalogue,
    PartialSource,
    ValuesUnfit,
    losses,
    warn_of_losses,
)

__all__ = [
    "DocumentsLost",
    "LimitReached",
    "Loss",
    "NothingFound",
    "NothingKept",
    "OldCatalogue",
    "PartialSource",
    "ValuesUnfit",
    "losses",
    "warn_of_losses",
]
