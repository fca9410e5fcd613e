import threading
from contextvars import ContextVar

from marin.execution.threads import DaemonThreads

word: ContextVar[str] = ContextVar("word", default="none")


def test_functions_run_at_the_same_time_and_see_the_context_of_their_submission() -> None:
    threads = DaemonThreads()
    all_run = threading.Barrier(5)
    seen: list[str] = []

    def run() -> None:
        seen.append(word.get())
        all_run.wait(60)

    for text in "abcd":
        word.set(text)
        threads.submit(run)
    all_run.wait(60)
    threads.close()
    assert sorted(seen) == ["a", "b", "c", "d"]


def test_an_idle_thread_is_used_again() -> None:
    threads = DaemonThreads()
    names: set[str] = set()
    ended = threading.Event()

    def run() -> None:
        names.add(threading.current_thread().name)
        ended.set()

    for _ in range(20):
        ended.clear()
        threads.submit(run)
        assert ended.wait(60)
    threads.close()
    # A thread counts as idle a moment after its function has ended, so that now and then there is a second one.
    assert len(names) < 20
    assert all(threading.current_thread().name != name for name in names)


def test_threads_do_not_hold_up_the_process() -> None:
    threads = DaemonThreads()
    started, release = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        release.wait()

    threads.submit(hang)
    assert started.wait(60)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("step thread"))
    release.set()
    threads.close()
