from . import history as history
from .diagnose import diagnose as diagnose
from .incident import Incident as Incident
from .localise import localise as localise
from .result import Diagnosis as Diagnosis
