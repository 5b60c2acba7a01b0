from .findings import Findings as Findings
from .run_checks import run as run
