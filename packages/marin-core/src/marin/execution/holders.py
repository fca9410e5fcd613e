"""Processes that hold a lease, named so that others on the same machine can tell whether they live."""

import functools
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """One process, unique over machines, restarts and reuse of process ids."""

    host: str
    """Name of the machine, for people."""
    machine: str
    """Identifies this start of the machine, and the process-id namespace (the container) within it; empty: unknown."""
    pid: int
    started: int
    """Start of the process in clock ticks since the machine's; 0: unknown."""

    @classmethod
    def current(cls) -> "Holder":
        """This process; a fork of it is another one."""
        return _holder_of(os.getpid())

    def is_dead(self) -> bool:
        """Whether the process is known to have ended; never for one on another machine."""
        if not self.machine or self.machine != _machine() or not self.started:
            return False
        return _start_of(self.pid) not in (self.started, None)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@functools.cache
def _holder_of(pid: int) -> Holder:
    return Holder(host=socket.gethostname(), machine=_machine(), pid=pid, started=_start_of(pid) or 0)


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid: int) -> int | None:
    """Start of a process that lives; 0 of one that does not, or has ended and is not reaped; None where unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return None
    # The name, in parentheses, may hold anything; state is the first field after it, the start the twentieth.
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])
