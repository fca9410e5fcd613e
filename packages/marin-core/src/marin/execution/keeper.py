"""Keeps leases alive in the background, and tells the owner of one that it is lost."""

import errno
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable

from marin import storage
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.status import StepStatus

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 3
"""Heartbeats within the time that an owner may be silent."""

_LOOKS_PER_LEASE = 12
# An owner gives up before others may take over: its body needs time to end, and clocks run at slightly other speeds.
_OWN_SHARE = 0.8
_BEAT_THREADS = 8
_FIRST_RETRY_SECONDS = 0.05
_NOT_TRANSIENT = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOENT}
)


class KeptLease:
    """A lease that a `LeaseKeeper` keeps alive."""

    def __init__(self, lease: Lease, on_lost: Callable[[str], None], clock: Callable[[], float]) -> None:
        self.lease = lease
        self._on_lost = on_lost
        self._clock = clock
        self._lock = threading.Lock()
        self._lost: str | None = None
        self.renewed = clock()
        """When the last write that succeeded was begun, by the keeper's clock."""
        self.due = self.renewed + lease.seconds / BEATS_PER_LEASE
        self.is_beating = False

    @property
    def expires(self) -> float:
        """Until when the owner may go on without another heartbeat, by the keeper's clock."""
        return self.renewed + self.lease.seconds * _OWN_SHARE

    def lose(self, reason: str) -> None:
        """Take note that the lease is lost, and tell the owner; once."""
        with self._lock:
            if self._lost is not None:
                return
            self._lost = reason
        logger.error("lease lost: %s", reason)
        self._on_lost(reason)

    def check(self) -> None:
        """Raise `LeaseLostError` if the lease is lost."""
        if self._lost is not None:
            raise LeaseLostError(self._lost)

    def beat(self) -> None:
        """Refresh the lease once, in whatever thread, and set when the next time is."""
        begun = self._clock()
        try:
            self.lease.refresh()
        except LeaseLostError as error:
            self.lose(str(error))
        except storage.StorageError as error:
            # The time left is what counts: a few failures are nothing, and at the end of it the owner stops.
            self.due = self._clock() + self.lease.seconds / _LOOKS_PER_LEASE
            logger.warning("heartbeat of %s failed, %s", self.lease.output_path, error)
        else:
            self.renewed = begun
            self.due = begun + self.lease.seconds / BEATS_PER_LEASE

    @property
    def is_lost(self) -> bool:
        """Whether the lease is known to be lost."""
        return self._lost is not None

    def confirm(self) -> None:
        """Make sure that the attempt still owns its step; raises as `commit`."""
        self._through_errors(self.lease.refresh)

    def commit(self, status: StepStatus, message: str | None = None) -> None:
        """End the attempt with `status`; tries again through errors that may pass, as long as the lease holds.

        Raises:
            LeaseLostError: the step has another owner, or may have: nothing was committed.
            StorageError: the status cannot be written, for a reason that does not pass by itself.
        """
        self._through_errors(lambda: self.lease.commit(status, message))

    def _through_errors(self, write: Callable[[], None]) -> None:
        for attempt in itertools.count():
            self.check()
            try:
                write()
                return
            except storage.StorageError as error:
                if _is_permanent(error):
                    raise
                if self._clock() >= self.expires:
                    raise LeaseLostError(
                        f"the status of {self.lease.output_path} could not be written in time: {error}"
                    ) from error
                logger.warning("writing the status of %s failed, trying again: %s", self.lease.output_path, error)
            time.sleep(min(_FIRST_RETRY_SECONDS * 2**attempt, self.lease.seconds / _LOOKS_PER_LEASE))


class LeaseKeeper:
    """Refreshes the leases of this process, from daemon threads that it starts when the first lease comes."""

    def __init__(self, lease_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """A keeper of no leases.

        Args:
            lease_seconds: of the leases that it will keep.
            clock: seconds that only go forward.
        """
        self._pause = lease_seconds / _LOOKS_PER_LEASE
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: set[KeptLease] = set()
        self._closed = threading.Event()
        self._due: queue.SimpleQueue[KeptLease | None] = queue.SimpleQueue()
        self._threads = 0

    def keep(self, lease: Lease, on_lost: Callable[[str], None]) -> KeptLease:
        """Keep `lease` alive until `release`; `on_lost` is called with the reason, in a thread of the keeper."""
        kept = KeptLease(lease, on_lost, self._clock)
        with self._lock:
            self._kept.add(kept)
            if not self._threads:
                self._threads = 1
                threading.Thread(target=self._watch, name="lease keeper", daemon=True).start()
        return kept

    def release(self, kept: KeptLease) -> None:
        """Keep the lease no longer."""
        with self._lock:
            self._kept.discard(kept)

    def close(self) -> None:
        """End the threads."""
        self._closed.set()

    def _watch(self) -> None:
        # Neither the steps nor the disk are in this thread: it sees a lease expire while a write of it hangs.
        while not self._closed.wait(self._pause):
            self._look()
        for _ in range(_BEAT_THREADS):
            self._due.put(None)

    def _look(self) -> None:
        now = self._clock()
        with self._lock:
            expired = [kept for kept in self._kept if now >= kept.expires]
            self._kept.difference_update(expired)
            due = [kept for kept in self._kept if now >= kept.due and not kept.is_beating]
            for kept in due:
                kept.is_beating = True
                self._due.put(kept)
        self._start_beat_threads(len(due))
        for kept in expired:
            silent = now - kept.renewed
            kept.lose(f"no heartbeat of {kept.lease.output_path} got through for {silent:.1f} s, so others may take it")

    def _start_beat_threads(self, count: int) -> None:
        while self._threads <= min(count, _BEAT_THREADS):
            self._threads += 1
            threading.Thread(target=self._beat, name="lease heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while (kept := self._due.get()) is not None:
            with self._lock:
                is_kept = kept in self._kept
            if is_kept:
                kept.beat()
            kept.is_beating = False


def _is_permanent(error: storage.StorageError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_TRANSIENT
