"""Servlet logs: what a Frontier servlet prints to Tomcat's ``catalina.out``, read as queries.

`frontierlab.rawlogs.read_servlet_logs` reads them, `frontierlab.rawlogs.write_servlet_logs` writes those of a sample
world.
"""

__all__: list[str] = []
