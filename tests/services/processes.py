"""Start a program that cannot outlive us."""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

# The keeper waits for our word, or for the end of the pipe, which comes however we end; SIGKILL included.
# PR_SET_PDEATHSIG would not do: it follows the thread that started the program, and tests restart servers
# from threads.
KEEPER = 'read -r done || { kill -s KILL -- "-$1"; sleep 1; rm -rf -- "$2"; }'


class ServiceError(RuntimeError):
    """A service that tests need cannot be had. The message says why, and what to do."""


def ordinary_user() -> tuple[int, int] | None:
    """User and group that a server runs as: `nobody` where we are root, None (ourselves) otherwise."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def readable_by_all(path: Path) -> bool:
    """Whether any user can read `path`, which every folder above it must allow."""
    path = path.resolve()
    if not path.exists() or path.stat().st_mode & 0o005 != 0o005:
        return False
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


def group_members(group: int) -> list[psutil.Process]:
    """The living processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):  # it has just ended
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class OwnedProcess:
    """A program in a process group of its own, which ends when we do.

    Parameters
    ----------
    argv
        The command.
    folder
        Its working folder's home: `folder` is removed if we die without calling `stop` or `kill`.
    log
        Where its output goes; appended to.
    env
        Its whole environment.
    cwd
        Its working folder.
    user
        User and group to run as, see `ordinary_user`.
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
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                **switch,
            )
        self.pid = self._popen.pid
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.pid), str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._popen.poll()

    def processes(self) -> list[psutil.Process]:
        """The living processes of its group."""
        return group_members(self.pid)

    def stop(self, seconds: float = 30) -> None:
        """Ask it to end (SIGTERM), and end its whole group if it has not after `seconds`."""
        self._popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # to which kill is the answer
            self._popen.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End its whole group at once (SIGKILL), and wait until nothing is left of it."""
        deadline = time.monotonic() + 30
        while self.processes():
            if time.monotonic() > deadline:
                raise ServiceError(f"process group {self.pid} does not end")
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        self._popen.wait()
        if self._keeper.poll() is None:
            self._keeper.communicate(b"done\n")


def in_fork(question: Callable[[], bool]) -> bool:
    """Return the answer to a question that is put in a fork of this process; False where that fails."""
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
