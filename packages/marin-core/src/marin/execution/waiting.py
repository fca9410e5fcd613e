"""Steps that others run: looks after them, outside the threads of steps, until they can go on here."""

import logging
import threading
from collections.abc import Callable

from marin import storage
from marin.execution.graph import Node
from marin.execution.status import StatusLog, for_each, read_log
from marin.execution.status_actor import Ownership
from marin.execution.watch import Watch

logger = logging.getLogger(__name__)

LOCAL_PAUSE_SECONDS = 0.1
"""Between two looks at the status of a step that another process runs, on local disk."""

REMOTE_PAUSE_SECONDS = 2.0
"""The same on other storage, where each look is a request."""


class WaitingRoom:
    """Watches the status of steps in a daemon thread; a status file tells nobody when it changes."""

    def __init__(
        self, watch: Watch, on_change: Callable[[Node, StatusLog], None], ownership: Ownership | None = None
    ) -> None:
        """A room without steps.

        Args:
            watch: knows how long owners have been silent.
            on_change: is called, in the thread of the room, when nobody runs a step any more.
            ownership: an actor that knows sooner than remote storage is worth asking.
        """
        self._watch = watch
        self._on_change = on_change
        self._ownership = ownership
        self._lock = threading.Lock()
        self._nodes: set[Node] = set()
        self._stop = threading.Event()
        self._is_running = False

    def add(self, node: Node) -> None:
        """Watch `node` until nobody runs it."""
        with self._lock:
            self._nodes.add(node)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="waiting room", daemon=True).start()

    def close(self) -> None:
        """Watch nothing any more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._pause()):
            with self._lock:
                nodes = list(self._nodes)
            paths = [node.output_path for node in nodes]
            for node, log in zip(nodes, for_each(self._look, paths, at=paths), strict=True):
                if log is not None:
                    with self._lock:
                        self._nodes.discard(node)
                    self._on_change(node, log)

    def _look(self, output_path: str) -> StatusLog | None:
        """The status of a step that nobody runs; None if somebody does, or it cannot be read."""
        try:
            log = read_log(output_path)
            return log if self._watch.owner(output_path, log) is None else None
        except storage.StorageError as error:
            logger.warning("the status of a step that is waited for cannot be read: %s", error)
            return None

    def _pause(self) -> float:
        with self._lock:
            paths = [node.output_path for node in self._nodes]
        if all(storage.is_local(path) for path in paths):
            return LOCAL_PAUSE_SECONDS
        if self._ownership is not None and self._ownership.wait_for_change(paths, REMOTE_PAUSE_SECONDS):
            return 0.0
        return REMOTE_PAUSE_SECONDS
