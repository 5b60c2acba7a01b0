from .findings import Findings as Findings
from .running import run as run
