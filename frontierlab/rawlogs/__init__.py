"""Raw logs: what servlets and Squids write, and the queries in them, without Elasticsearch between.

`decode_request` takes a request's URL apart, `read_cool_sql` says what the SQL in it asks for, and `Pseudonyms`
replaces personal data. `read_squid_logs` reads access logs of Squids; `squid` has what can be asked of them.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
