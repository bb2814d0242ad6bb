"""How floats are counted and how many threads there are: to be set before MXNet starts its own."""
import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 1 << 15, 1 << 6  # bits of x86's MXCSR register
MXCSR_OFFSET, FENV_BYTES = 28, 32                    # of glibc's fenv_t on x86-64
ENGINE = 'MXNET_ENGINE_TYPE'
SIBLINGS = '/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list'


def flush_denormals() -> bool:
    """Count floats below 1.2e-38 as zero, in this thread and all that it starts from now on.

    Adam's running means of gradients that have become exactly zero (dead units, pixels that
    are always black) shrink by a constant factor a step until they are that small, where every
    operation on them costs a hundred times more: without this an epoch on MNIST becomes more
    than twice as slow from the second on. Returns False, having done nothing, where the machine
    or its C library is another one.
    """
    if (platform.system(), platform.machine()) != ('Linux', 'x86_64'):
        return False
    try:
        libm = ctypes.CDLL('libm.so.6')
    except OSError:
        return False
    np.finfo(np.float32), np.finfo(np.float64)  # NumPy measures denormals once, and would warn
    environment = ctypes.create_string_buffer(FENV_BYTES)
    libm.fegetenv(environment)
    mxcsr = ctypes.c_uint32.from_buffer(environment, MXCSR_OFFSET)
    mxcsr.value |= FLUSH_TO_ZERO | DENORMALS_ARE_ZERO
    return libm.fesetenv(environment) == 0


def use_all_cores() -> None:
    """Give MXNet and Numba one thread a physical core, unless OMP_NUM_THREADS says otherwise.

    Left alone MXNet takes half of the processors, as if each core were two of them: on a
    machine where they are not, half of it is idle.
    """
    threads = os.environ.setdefault('OMP_NUM_THREADS', str(physical_cores()))
    os.environ.setdefault('NUMBA_NUM_THREADS', threads)


def physical_cores() -> int:
    """Return the number of cores behind the processors that this process may use."""
    cores = set()
    for processor in os.sched_getaffinity(0):
        try:
            cores.add(Path(SIBLINGS.format(processor)).read_text())
        except OSError:  # not shown, in some containers
            cores.add(processor)
    return len(cores)


def run_in_calling_thread() -> None:
    """Let MXNet's operators run when they are called, in the thread that calls them.

    With its engine for that, NaiveEngine, a step of a small net on a CPU takes a third of the
    time: queues and threads that wait for each other cost more than they give. GPUs and a
    parameter server need the default; MXNET_ENGINE_TYPE overrides this.
    Call it after MXNet is imported and before it is used.
    """
    import mxnet
    if mxnet.context.num_gpus() or 'DMLC_ROLE' in os.environ or ENGINE in os.environ:
        return
    os.environ[ENGINE] = 'NaiveEngine'
    with _without_stderr():  # the engine greets whoever chose it
        mxnet.nd.waitall()
    del os.environ[ENGINE]


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Let nothing arrive on stderr within, not even from libraries' C++ code."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
