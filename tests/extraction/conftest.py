"""What the tests of extractions share."""

from tests.support.indices import make  # noqa: F401
