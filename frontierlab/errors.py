"""The errors that frontierlab raises on purpose.

Every message gives the cause, the valid values if there are any, and the next step.
"""

__all__ = [
    "Cancelled",
    "CatalogueError",
    "ConfigurationError",
    "CoolrError",
    "DatasetError",
    "ElasticsearchError",
    "ExportError",
    "FrontierlabError",
    "InterruptedExtraction",
    "InvalidRequestError",
    "JobCancelled",
    "JobError",
    "NightError",
    "RequestUrlError",
    "SparkError",
    "StatementError",
    "Thinned",
    "Unreached",
]


class FrontierlabError(Exception):
    """Base of every error that frontierlab raises on purpose."""


class ConfigurationError(FrontierlabError):
    """A setting is missing, unknown or of the wrong type."""


class InvalidRequestError(FrontierlabError, ValueError):
    """An argument is not valid; nothing was started and nothing was changed."""


class DatasetError(FrontierlabError):
    """A dataset is missing, incomplete, damaged or in use, or its name is taken."""


class Thinned(DatasetError):
    """A question needs the rows of a dataset that was thinned to its summaries."""


class CatalogueError(FrontierlabError):
    """The catalogue of folders and tags is missing or not valid."""


class CoolrError(FrontierlabError):
    """COOLR could not be reached, refused, or gave an invalid answer; or an archive lacks the answer."""


class ElasticsearchError(FrontierlabError):
    """Elasticsearch could not be reached, refused, or did not answer in full."""


class ExportError(FrontierlabError):
    """A figure cannot be exported as a picture here; no file was changed."""


class InterruptedExtraction(FrontierlabError):
    """An extraction stopped early; its dataset is incomplete and can be resumed."""


class JobError(FrontierlabError):
    """A job failed, does not exist, is not done yet, or cannot be submitted."""


class JobCancelled(JobError):
    """A job was cancelled, and has no result."""


class NightError(FrontierlabError):
    """The periodic night cannot be done: another process does it, or its records cannot be read or written."""


class RequestUrlError(FrontierlabError, ValueError):
    """The URL of a Frontier request, or a part of it, cannot be decoded; the message says why."""


class SparkError(FrontierlabError):
    """Spark cannot start here (no Java, no pyspark), failed at a statement, has ended, or does not answer."""


class StatementError(SparkError):
    """A statement failed in DuckDB or Spark: a division by zero, an overflow, a missing file, no memory left.

    It is a `SparkError` so that programs that catch that error meet all failing statements.
    """


class Cancelled(FrontierlabError):
    """Work was cancelled; DuckDB or Spark has ended it, or is told repeatedly to end it."""


class Unreached(FrontierlabError):
    """A service gave no whole answer: its host does not exist, or nothing answers there."""
