"""What is set for the whole process: where it draws, how floats are counted, how many threads.

Threads take over how floats are counted from the thread that starts them, and MXNet starts its
own when it is imported and when it is first used. So `before_mxnet` comes before its import, and
`run_in_calling_thread` between its import and its use. Nets work without either, more slowly.
"""
import atexit
import codecs
import contextlib
import ctypes
import io
import math
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 1 << 15, 1 << 6  # bits of x86's MXCSR register
MXCSR_OFFSET, FENV_BYTES = 28, 32                    # of glibc's fenv_t on x86-64
ENGINE = 'MXNET_ENGINE_TYPE'
SIBLINGS = '/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list'
CGROUP = Path('/sys/fs/cgroup')
QUOTAS = ('cpu.max',), ('cpu/cpu.cfs_quota_us', 'cpu/cpu.cfs_period_us')  # of cgroups 2 and 1
THREADS = 'OMP_NUM_THREADS'
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
KEPT_BYTES = (1 << 31) - 1
LARGEST_KEPT_BYTES = 1 << 27, 1 << 25  # older ones of glibc refuse the first
MALLOC_VARIABLES = 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'GLIBC_TUNABLES'


class ThreadsError(ValueError):
    """A number of threads that is none; the message is for the user."""


def open_streams() -> None:
    """Open what stdin, stdout and stderr lack, and let them write any name of a file.

    What is opened next would take the place of one that is closed, and get what it is told.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free
    for name, descriptor in (('stdout', 1), ('stderr', 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, 'w', closefd=False))
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if codecs.lookup(stream.encoding).name == 'ascii':  # as in a POSIX locale
            stream.reconfigure(encoding='utf-8', errors='surrogateescape')
        elif stream.errors == 'strict':
            stream.reconfigure(errors='surrogateescape' if stream.encoding.lower() == 'utf-8'
                               else 'backslashreplace')


def draw_into_files() -> None:
    """Let Matplotlib draw into files only, and in silence where it has no home to keep things in.

    Call it before Matplotlib is imported. A notebook tells the processes that it starts to draw
    into it, by a backend that Matplotlib may not find: it is not even imported then.
    """
    os.environ.pop('MPLBACKEND', None)
    if 'MPLCONFIGDIR' not in os.environ and not _is_writable_home() and (
            place := _cache('matplotlib')):
        os.environ['MPLCONFIGDIR'] = str(place)


def _is_writable_home() -> bool:
    try:
        return os.access(Path.home(), os.W_OK)
    except RuntimeError:  # there is none
        return False


def before_mxnet() -> None:
    """Count tiny floats as zero, keep freed memory, give MXNet and Numba a thread a core.

    ThreadsError if OMP_NUM_THREADS is not what OpenMP takes.
    """
    draw_into_files()  # GluonCV imports Matplotlib
    flush_denormals()
    keep_memory()
    os.environ.setdefault(THREADS, str(cores()))
    os.environ[THREADS] = str(threads())  # MXNet takes no list
    os.environ.setdefault('NUMBA_NUM_THREADS', os.environ[THREADS])
    if 'NUMBA_CACHE_DIR' not in os.environ and (place := kernels_place()):
        os.environ['NUMBA_CACHE_DIR'] = str(place)


def kernels_place() -> Path | None:
    """Return where Numba is to keep compiled kernels; none: beside their source.

    Where that cannot be written, in the user's cache.
    """
    beside = Path(__file__).parents[1] / 'steps'
    if all(os.access(path, os.W_OK) for path in (beside, beside / '__pycache__')
           if path.exists()):
        return None
    return _cache('numba')


def _cache(name: str) -> Path | None:
    """Return a folder of the user's cache, or one that goes with this process; none: no room."""
    try:
        place = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'vaegan' / name
        place.mkdir(parents=True, exist_ok=True)
        if os.access(place, os.W_OK):
            return place
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        pass
    try:
        place = Path(tempfile.mkdtemp(prefix='vaegan-'))
    except OSError:  # nothing can be written anywhere
        return None
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


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
    import numpy as np  # slow to import
    np.finfo(np.float32), np.finfo(np.float64)  # NumPy measures denormals once, and would warn
    environment = ctypes.create_string_buffer(FENV_BYTES)
    libm.fegetenv(environment)
    mxcsr = ctypes.c_uint32.from_buffer(environment, MXCSR_OFFSET)
    mxcsr.value |= FLUSH_TO_ZERO | DENORMALS_ARE_ZERO
    return libm.fesetenv(environment) == 0


def keep_memory() -> int:
    """Let this process keep up to 2 GB of what it frees. Returns the bytes of the largest array.

    Otherwise glibc gives every array of over 32 MB back to the system when it is freed, and the
    next one is made of pages that the system has to fill with zeros first: of a step of ConvVAE,
    some 20,000. 0, having done nothing, with another C library, or where the environment has
    settings of its own.
    """
    if platform.libc_ver()[0] != 'glibc' or {*MALLOC_VARIABLES} & {*os.environ}:
        return 0
    libc = ctypes.CDLL(None)
    largest = next((size for size in LARGEST_KEPT_BYTES if libc.mallopt(M_MMAP_THRESHOLD, size)),
                   0)
    if largest:
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return largest


def threads() -> int:
    """Return the number of threads that OMP_NUM_THREADS says; of a list, that of the first level.

    ThreadsError if it says none.
    """
    text = os.environ[THREADS]
    first = text.split(',')[0].strip()
    if not (first.isascii() and first.isdigit() and int(first)):
        raise ThreadsError(f'{THREADS}={text}: expected a number of threads, 1 or more')
    return int(first)


def cores() -> int:
    """Return the number of physical cores that this process may keep busy.

    Left alone MXNet takes half of the processors, as if each core were two of them: on a
    machine where they are not, half of it is idle. A container's limit counts, rounded up.
    """
    limits = [physical_cores()]
    for names in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # ValueError: max, for no limit
            quota, period = map(int, ' '.join(
                (CGROUP / name).read_text() for name in names).split())
            if quota > 0:
                limits.append(math.ceil(quota / period))
    return min(limits)


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
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    if sys.stderr:
        sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
