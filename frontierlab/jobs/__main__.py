"""A Redis, if that is needed, and a worker on this machine: ``python -m frontierlab.jobs``."""

import sys

from frontierlab.jobs.programs import main

sys.exit(main())
