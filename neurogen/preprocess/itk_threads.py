"""One thread for ITK where the result must not depend on the order of summation."""

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
