"""ITK and threads: one within, so that sums are taken in one order; one beside, so that a long call can be stopped."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")

WAKE_SECONDS = 0.1  # between looks at the signals that came in
ABORT_SECONDS = 0.5  # given to ITK to stop by itself


@contextmanager
def one_itk_thread() -> Iterator[None]:
    """ITK filters and metrics created inside use one thread: the same input gives the same bits.

    A filter's own setting does not reach the metric of a registration, hence the process-wide default, which is
    restored afterwards.
    """
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def stoppable(call: Callable[[], Result], *, abort: Callable[[], None]) -> Result:
    """What `call` returns or raises, while a signal that raises (Ctrl-C, a cancel) comes through at once.

    Python handles signals between its own instructions in the main thread, thus only after a long ITK call made there.
    So the call, which releases Python's lock, goes to a thread beside. `abort` asks ITK to stop (`Abort` of its
    process objects); a call that does not hear it is left behind and ends with the process.
    """
    future: Future[Result] = Future()
    Thread(target=_fulfil, args=(future, call), name="ITK", daemon=True).start()
    try:
        while not wait([future], timeout=WAKE_SECONDS).done:
            pass
    except BaseException:
        abort()
        wait([future], timeout=ABORT_SECONDS)
        raise
    return future.result()


def _fulfil(future: Future, call: Callable) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # whatever it is belongs to the thread that waits
        future.set_exception(error)
