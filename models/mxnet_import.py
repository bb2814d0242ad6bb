"""Import MXNet, with NVIDIA's libraries loaded before its CUDA build.

The wheels of those libraries put them into site-packages/nvidia/*/lib, where the loader does
not look. What is loaded already, it does not have to find.
"""
import ctypes
import errno
import os
import site
import sys
from importlib import metadata
from pathlib import Path

CUDA_BUILD = 'mxnet-cu112'
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


def import_mxnet() -> None:
    """Import MXNet; ImportError with one line on what to do, where that fails."""
    if _is_cuda_build():
        os.environ.setdefault(DRIVER_CHECK, '0')  # `--ctx` says it, where a GPU is asked for
        roots = {Path(path) for path in (*site.getsitepackages(), *sys.path) if path}
        load_all([folder for root in sorted(roots) for folder in root.glob('nvidia/*/lib')])
    try:
        import mxnet  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(f'MXNet cannot be imported ({error}): '
                          'pip install -r requirements.txt') from None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise ImportError(
            f'the CUDA build of MXNet cannot be loaded ({error}); without an NVIDIA driver '
            'install the CPU build into a fresh environment: pip install -r requirements.txt'
        ) from None
    except AttributeError as error:
        raise ImportError(f'MXNet 1.9.1 does not work with this NumPy ({error}): '
                          'pip install -r requirements.txt') from None

