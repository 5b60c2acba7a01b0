"""Jobs: work of minutes and hours, submitted from a notebook, followed, cancelled, found again, never lost.

`submit` gives a `Job`; `jobs` lists those that there are. What is known of a job is a file in the data folder, which
survives the notebook, whoever runs the job, and whoever carried the message.
"""

from frontierlab.jobs.job import Job, jobs, open_job, submit
from frontierlab.jobs.local import LocalWorker, start_worker
from frontierlab.jobs.pruning import prune

__all__ = ["Job", "LocalWorker", "jobs", "open_job", "prune", "start_worker", "submit"]
