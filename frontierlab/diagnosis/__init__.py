"""What happened: where a measure deviates from what was expected, and which names explain it."""

from frontierlab.diagnosis.localise import localise

__all__ = ["localise"]
