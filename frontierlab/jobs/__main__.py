"""Run a worker on this machine, and a Redis if one is needed: ``python -m frontierlab.jobs``."""

import sys

from frontierlab.jobs.local_services import main

sys.exit(main())
