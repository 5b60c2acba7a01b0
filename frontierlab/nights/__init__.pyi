from .listing import list_nights as list_nights
from .night_run import Night as Night
from .night_run import run as run
from .page import write_nights_page as write_nights_page
