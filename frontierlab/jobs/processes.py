"""The identity of the process that runs a job: more than its pid, which is reused later and in other containers."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

from pydantic import BaseModel

__all__ = ["Process"]


class Process(BaseModel):
    """A process.

    Parameters
    ----------
    host, pid
        The name of the machine, and the process id.
    space
        The boot of the machine and the container in which the pid is valid, because several containers can share a host
        name; empty if the system does not say, as in records of earlier versions.
    began
        The start time in the kernel's ticks, because pids are reused; None if the system does not say.
    """

    host: str
    pid: int
    space: str = ""
    began: int | None = None

    @classmethod
    def this(cls) -> Process:
        """Return the current process."""
        stat = _stat(os.getpid())
        return cls(host=socket.gethostname(), pid=os.getpid(), space=_space(), began=stat and stat[1])

    def has_ended(self) -> bool:
        """Whether the process is known to have ended, which is known only on its machine and in its container."""
        if self.host != socket.gethostname() or (self.space and self.space != _space()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # the process belongs to another user
            pass
        stat = _stat(self.pid)
        if stat is None:
            return False
        state, began = stat
        return state in "ZX" or (self.began is not None and began != self.began)


@functools.cache
def _space() -> str:
    """Return the boot of this machine and its pid namespace; empty if there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int] | None:
    """Return the state of a process and its start time; None if the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # the command name before it may hold anything
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
