from .conditions import make_conditions as make_conditions
from .dataset import make_day as make_day
from .incident import Incident as Incident
