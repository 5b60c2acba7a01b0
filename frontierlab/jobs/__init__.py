"""Jobs: long work that is submitted from a notebook and can be followed, cancelled and found again.

`submit` returns a `Job`; `jobs` lists all jobs of the data folder. The record of a job is a file in the data folder. It
outlives the notebook, the process that runs the job, and the broker that carries its message.
"""

from frontierlab.jobs.job import Job, jobs, open_job, submit
from frontierlab.jobs.local_worker import LocalWorker, start_worker
from frontierlab.jobs.pruning import prune

__all__ = ["Job", "LocalWorker", "jobs", "open_job", "prune", "start_worker", "submit"]
