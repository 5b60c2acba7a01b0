"""Which process runs a job: told apart from one with the same number, later or in another container."""

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
        The name of its machine, and its number there.
    space
        The start of that machine and the container in it within which the number counts, for several can have one
        host name; empty where the system does not say, as in records of earlier versions.
    began
        When it started, in the kernel's ticks, for a number is given again; None where the system does not say.
    """

    host: str
    pid: int
    space: str = ""
    began: int | None = None

    @classmethod
    def this(cls) -> Process:
        """Return this one."""
        stat = _stat(os.getpid())
        return cls(host=socket.gethostname(), pid=os.getpid(), space=_space(), began=stat and stat[1])

    def has_ended(self) -> bool:
        """Whether it is known to have ended, which it is only on its own machine and in its own container."""
        if self.host != socket.gethostname() or (self.space and self.space != _space()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # another user's
            pass
        stat = _stat(self.pid)
        if stat is None:
            return False
        state, began = stat
        return state in "ZX" or (self.began is not None and began != self.began)


@functools.cache
def _space() -> str:
    """Name this start of the machine, and its numbers of processes; empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int] | None:
    """Return the state of a process and when it started; None where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
