"""ITK calls that repeat to the bit and that a cancel can stop."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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


@contextmanager
def stoppable(process) -> Iterator[None]:
    """While `process` (an iterative SimpleITK filter or registration) executes inside, Ctrl-C and cancels come through.

    Python handles signals between its own instructions, so a long call would hide them until its end: an empty command
    at every iteration lets them in. SimpleITK hands what a command raises to `sys.excepthook` and raises an error of
    its own in its place; here the original is kept and raised.
    """
    import SimpleITK as sitk

    raised: list[BaseException] = []
    hook = sys.excepthook
    process.AddCommand(sitk.sitkIterationEvent, lambda: None)
    sys.excepthook = lambda kind, error, trace: raised.append(error)
    try:
        yield
    except RuntimeError:
        if raised:
            raise raised[0] from None
        raise
    finally:
        sys.excepthook = hook
        process.RemoveAllCommands()
