"""The process of an `iris-local` cluster: controller and workers, until its standard input ends.

    python -m marin.cluster.backends.iris_server WORKERS

prints the address of the controller on one line. A process apart, because Iris' threads are no daemons and Python
starts no thread once its main thread has ended: inside the process of a script that raises, the cluster could neither
be closed nor let the script exit. Whichever way the owner ends, `kill -9` included, its pipe ends and so does this.
"""

import functools
import os
import sys
import threading
from typing import Any, cast

from iris.cluster import local_cluster
from rigging.timing import Duration

_RECONCILE_SECONDS = 0.1
_CLOSE_SECONDS = 15.0


def main() -> None:
    """Serve a cluster of at most as many workers as the first argument says."""
    cluster = _fast_cluster(int(sys.argv[1]))
    address = cluster.start()
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    # Closing waits for threads that may hang on a task; the owner is gone, so nothing is worth waiting long for.
    watchdog = threading.Timer(_CLOSE_SECONDS, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()
    cluster.close()
    os._exit(0)


def _fast_cluster(max_workers: int) -> local_cluster.LocalCluster:
    """A cluster whose controller looks at its tasks ten times a second.

    Iris ships once a second, which would be the floor under every job, and gives no setting for it.
    """
    interval = Duration.from_seconds(_RECONCILE_SECONDS)
    local_cluster.ControllerConfig = cast(
        Any, functools.partial(local_cluster.ControllerConfig, poll_interval=interval)
    )
    return local_cluster.LocalCluster(local_cluster.make_local_cluster_config(max_workers))


if __name__ == "__main__":
    main()
