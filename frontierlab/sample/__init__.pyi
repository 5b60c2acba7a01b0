from .embedded import path as path
from .embedded import settings as settings
from .embedded import with_sample as with_sample
from .world.incidents.dataset import make_day as make_day
from .world.incidents.incident import Incident as Incident
from .world.loading import load as load
from .world.world import Chunk as Chunk
from .world.world import World as World
