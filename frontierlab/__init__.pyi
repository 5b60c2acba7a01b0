from . import caching as caching
from . import catalogue as catalogue
from . import catalogues as catalogues
from . import connections as connections
from . import contents as contents
from . import coolr as coolr
from . import datasets as datasets
from . import errors as errors
from . import filters as filters
from . import jobs as jobs
from . import losses as losses
from . import plots as plots
from . import sample as sample
from . import schema as schema
from . import spark as spark
from .engines.opening import open_logs as open_logs
from .engines.user_sql import sql as sql
from .extraction.extract import extract as extract
from .filters.changes import what_changed as what_changed
from .overviews.overview import overview as overview
from .reports.report import report as report
from .selection import Selection as Selection
from .settings import Settings as Settings
from .settings import create_config_file as create_config_file
from .storage.dataset import Dataset as Dataset
from .util.cancelling import cancellable as cancellable

__version__: str
