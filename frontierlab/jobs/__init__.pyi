from .job import Job as Job
from .job import jobs as jobs
from .job import open_job as open_job
from .job import submit as submit
from .local_worker import LocalWorker as LocalWorker
from .local_worker import start_worker as start_worker
from .pruning import prune as prune
