"""Start programs that cannot outlive this process."""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

# The keeper waits for a message, or for the pipe to close, which happens even if this process is killed.
# PR_SET_PDEATHSIG does not work here: it depends on the thread that started the program, and tests restart
# servers from threads.
KEEPER = 'read -r done || { kill -s KILL -- "-$1"; sleep 1; rm -rf -- "$2"; }'


class ServiceError(RuntimeError):
    """A service that tests need is not available. The message says why, and what to do."""


def ordinary_user() -> tuple[int, int] | None:
    """Return the user and group for a server: `nobody` if this process is root, otherwise None (the current user)."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def readable_by_all(path: Path) -> bool:
    """Return whether every user can read `path`, including all folders above it."""
    path = path.resolve()
    if not path.exists() or path.stat().st_mode & 0o005 != 0o005:
        return False
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


def group_members(group: int) -> list[psutil.Process]:
    """Return the live processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):  # it has just ended
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Program(Protocol):
    """What `OwnedProcess` uses of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...


class OwnedProcess:
    """A program in its own process group, which ends with this process.

    Parameters
    ----------
    argv
        The command.
    folder
        A folder that is removed if this process dies without calling `stop` or `kill`.
    log
        File for its output, which is appended.
    env
        Its complete environment.
    cwd
        Its working directory.
    user
        User and group of the program, see `ordinary_user`.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        folder: Path,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        user: tuple[int, int] | None = None,
    ):
        switch: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
        with log.open("ab") as output:
            program = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                **switch,
            )
        self._own(program, folder)

    def _own(self, program: Program, folder: Path) -> None:
        """Make the program, which leads its process group, end with this process."""
        self._program = program
        self.pid = program.pid
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.pid), str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def status(self) -> int | None:
        """Exit status; None while the program runs."""
        return self._program.poll()

    def processes(self) -> list[psutil.Process]:
        """The live processes of the group."""
        return group_members(self.pid)

    def stop(self, seconds: float = 30) -> None:
        """Send SIGTERM, and kill the group if it runs longer than `seconds`."""
        self._program.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # killed below
            self._program.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the group (SIGKILL), and wait until all its processes have ended."""
        deadline = time.monotonic() + 30
        while self.processes():
            if time.monotonic() > deadline:
                raise ServiceError(f"process group {self.pid} does not end")
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        self._program.wait()
        if self._keeper.poll() is None:
            self._keeper.communicate(b"done\n")


def in_fork(question: Callable[[], bool]) -> bool:
    """Return the result of `question` in a fork of this process; False if that fails."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(120)
        answer = False
        try:
            answer = question()
        finally:
            os._exit(0 if answer else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
