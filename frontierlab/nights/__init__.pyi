from .listing import list_nights as list_nights
from .page import write_nights_page as write_nights_page
from .running import Night as Night
from .running import run as run
