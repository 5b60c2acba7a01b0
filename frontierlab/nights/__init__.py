"""The periodic night: what is done every day without anybody, kept for some days, and listed on one page.

`run` does what is due: cron can call it, and Celery beat submits it as a job. `list_nights` says what each night gave.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
