"""Import MXNet, with names that newer NumPys lack, and NVIDIA's libraries before its CUDA build.

The wheels of those libraries put them into site-packages/nvidia/*/lib, where the loader does
not look. What is loaded already, it does not have to find.
"""
import contextlib
import ctypes
import errno
import os
import site
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

# What MXNet and GluonCV read from NumPy and newer ones no longer have: the first two by 1.24, the
# others by 2.0. The functions are only listed by `mxnet.numpy`, which nothing here calls
REMOVED = {'bool': bool, 'int': int,
           'PZERO': 0.0, 'NZERO': -0.0, 'PINF': np.inf, 'NINF': -np.inf, 'Inf': np.inf,
           'NaN': np.nan, 'NAN': np.nan,
           **dict.fromkeys(('alltrue', 'mirr', 'msort', 'npv', 'pmt', 'ppmt', 'product', 'pv',
                            'rate', 'round_', 'sometrue'))}
CUDA_BUILD = 'mxnet-cu112'
SYSTEM = {'libgomp.so.1': 'libgomp1', 'libquadmath.so.0': 'libquadmath0'}  # Debian's packages
DRIVER_CHECK = 'MXNET_CUDA_LIB_CHECKING'  # 0: MXNet says nothing of a driver that is not there


def load_all(folders: list[Path]) -> None:
    """Load all libraries in the folders, in whatever order their dependencies allow."""
    waiting = [path for folder in folders for path in sorted(folder.glob('lib*.so*'))]
    while waiting:
        failed = [path for path in waiting if not load(path)]
        if len(failed) == len(waiting):  # what needs the driver, where there is none
            return
        waiting = failed


def load(path: Path) -> bool:
    """Load one library for all others to see; return whether that worked."""
    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _is_cuda_build() -> bool:
    try:
        metadata.version(CUDA_BUILD)
    except metadata.PackageNotFoundError:
        return False
    return True


@contextlib.contextmanager
def removed_names() -> Iterator[None]:
    """Let NumPy have, within, what MXNet and GluonCV read from it and it no longer has."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # NumPy 1.23 has some, and deprecates them
        missing = [name for name in REMOVED if not hasattr(np, name)]
    for name in missing:
        setattr(np, name, REMOVED[name])
    try:
        yield
    finally:
        for name in missing:
            delattr(np, name)


@contextlib.contextmanager
def kept_environment() -> Iterator[None]:
    """Undo what happens within to environment variables.

    MXNet imports OpenCV, which names its own fonts and plugins to Qt, and its libraries to all
    programs that are started: those of a notebook, too.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def import_mxnet() -> None:
    """Import MXNet; ImportError with one line on what to do, where that fails."""
    if _is_cuda_build():
        os.environ.setdefault(DRIVER_CHECK, '0')  # `--ctx` says it, where a GPU is asked for
        roots = {Path(path) for path in (*site.getsitepackages(), *sys.path) if path}
        load_all([folder for root in sorted(roots) for folder in root.glob('nvidia/*/lib')])
    try:
        with removed_names(), kept_environment():
            import mxnet  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(f'MXNet cannot be imported ({error}): '
                          'pip install --no-deps -r requirements.txt') from None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise ImportError(f'MXNet cannot be loaded ({error}); {_remedy(str(error))}') from None
    except AttributeError as error:
        raise ImportError(f'MXNet 1.9.1 does not work with this NumPy ({error}): '
                          'pip install --no-deps -r requirements.txt') from None


def _remedy(error: str) -> str:
    """Return what to do where a library cannot be loaded."""
    if any(name in error for name in SYSTEM):
        return f'Debian, Ubuntu: apt install {" ".join(SYSTEM.values())}'
    again = 'pip install --no-deps -r requirements.txt'
    if _is_cuda_build():
        return ('without an NVIDIA driver install the CPU build into a fresh environment: '
                + again)
    return again
