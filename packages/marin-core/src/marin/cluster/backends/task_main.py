"""The body of every task on Iris: sets its variables, keeps its deadline, marks the end of its output."""

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

DEADLINE_EXIT_STATUS = 124
"""Exit status of a task that ran past its deadline; the one that coreutils' `timeout` gives."""

END_OF_OUTPUT = "marin: end of output"
"""Last line that a task writes. Lines reach the log store after the cluster has called the task ended; a reader that
has seen this one has seen all."""


def run_task(
    body: Callable[..., object],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    env_vars: Mapping[str, str],
    timeout: float | None,
) -> None:
    """Run `body(*args, **kwargs)` as the task of a job.

    Args:
        body: What the job is for.
        args: Positional arguments of `body`.
        kwargs: Keyword arguments of `body`.
        env_vars: Set once more, because Iris' process runtime rewrites values that look like paths of a container
            (`/tmp/data`, `/app/x`), on its way here.
        timeout: Seconds after which the process is ended with status 124. Iris looks at deadlines once a minute; this
            one is kept by the task itself.
    """
    os.environ.update(env_vars)
    atexit.register(_mark_end_of_output)
    if timeout is not None:
        timer = threading.Timer(timeout, _end_process, [timeout])
        timer.daemon = True
        timer.start()
    body(*args, **kwargs)


def run_command(command: Sequence[str]) -> None:
    """Run `command` and exit with its status.

    A command goes to Iris inside a callable, since the process runtime would rewrite arguments like values above.
    """
    try:
        status = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
    except OSError as error:
        sys.exit(f"cannot start {command[0]!r}: {error.strerror}")
    # A negative status is the signal that ended it; shells count those from 128.
    sys.exit(status if status >= 0 else 128 - status)


def _end_process(timeout: float) -> None:
    sys.stderr.write(f"ran past its deadline of {timeout:g} s\n")
    sys.stderr.flush()
    _mark_end_of_output()
    os._exit(DEADLINE_EXIT_STATUS)


def _mark_end_of_output() -> None:
    sys.stdout.write(f"{END_OF_OUTPUT}\n")
    sys.stdout.flush()
