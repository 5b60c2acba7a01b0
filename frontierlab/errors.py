"""The errors that frontierlab raises on purpose.

Every message gives the cause, the valid values where there are some, and the next step.
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
    "SparkError",
]


class FrontierlabError(Exception):
    """Base of every error that frontierlab raises on purpose."""


class ConfigurationError(FrontierlabError):
    """A setting is missing, unknown or of the wrong type."""


class InvalidRequestError(FrontierlabError, ValueError):
    """What was asked for makes no sense; nothing was started and nothing was changed."""


class DatasetError(FrontierlabError):
    """A dataset is missing, incomplete, damaged, locked, or already there."""


class CatalogueError(FrontierlabError):
    """The catalogue of nodes and tags is missing or is not one."""


class CoolrError(FrontierlabError):
    """COOLR could not be reached, refused, or gave an answer that cannot be right; or an archive lacks it."""


class ElasticsearchError(FrontierlabError):
    """Elasticsearch could not be reached, refused, or did not answer in full."""


class ExportError(FrontierlabError):
    """A figure cannot be made a picture here; no file was changed."""


class InterruptedExtraction(FrontierlabError):
    """An extraction stopped before its end; what is stored says so and can be resumed."""


class JobError(FrontierlabError):
    """A job failed, is not there, is not done yet, or cannot be submitted."""


class JobCancelled(JobError):
    """A job was cancelled, and has no result."""


class SparkError(FrontierlabError):
    """Spark cannot start here (no Java, no pyspark), failed at a statement, has ended, or does not answer."""


class Cancelled(FrontierlabError):
    """Work with Spark or COOLR was cancelled before its answer; Spark has ended it, or is told to until it has."""
