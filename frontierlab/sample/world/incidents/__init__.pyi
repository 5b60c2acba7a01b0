from .dataset import make_day as make_day
from .incident import Incident as Incident
