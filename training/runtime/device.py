"""Which devices a run uses: `--ctx auto|cpu|gpu|gpu:N`, or several with commas."""
import contextlib
import ctypes
import math
import re
import resource
import sys
from pathlib import Path

import mxnet

from training.runtime import process

# MXNet's CUDA wheel has machine code for 5.0, 6.0, 7.0, 8.0 and 8.6, and no PTX to compile
# for others; code for x.y runs on x.z with z >= y
LOWEST, BEYOND = (5, 0), (9, 0)
CGROUP = Path('/sys/fs/cgroup')
CONTAINER_MEMORY = (  # of cgroups 2 and 1: limit, use, a report, what in it makes room
    ('memory.max', 'memory.current', 'memory.stat', 'inactive_file'),
    ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes', 'memory/memory.stat',
     'total_inactive_file'))
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


class DeviceError(ValueError):
    """A device that is not there or cannot be used; the message is for the user."""


def resolve_all(spec: str) -> list[mxnet.Context]:
    """Return the contexts of a `--ctx` value, separated by commas. DeviceError as `resolve`."""
    devices = [resolve(one) for one in spec.split(',')]
    if len(set(devices)) < len(devices) or len({d.device_type for d in devices}) > 1:
        raise DeviceError(f'--ctx {spec}: expected different devices of one kind')
    return devices


def resolve(spec: str) -> mxnet.Context:
    """Return the context of one device. DeviceError if it cannot be used.

    auto takes the first GPU, or the CPU where there is none that works, and says why. cpu:N
    are all the same processors; they are for trying out how a batch is split.
    """
    asked = re.fullmatch(r'(cpu|gpu)(?::(\d{1,4}))?', spec)
    if spec != 'auto' and not asked:
        raise DeviceError(f'--ctx {spec}: expected auto, cpu, gpu or gpu:N')
    index = int(asked[2] or 0) if asked else 0
    if asked and asked[1] == 'cpu':
        return mxnet.cpu(index)
    problem = _problem(index)
    if problem is None:
        return mxnet.gpu(index)
    if asked:
        raise DeviceError(f'--ctx {spec}: {problem}')
    if compute_capabilities():
        print(f'{problem}; running on the CPU', file=sys.stderr)
    return mxnet.cpu()


def _problem(index: int) -> str | None:
    """Return why a GPU cannot be used; None if it can."""
    capabilities = compute_capabilities()
    if not capabilities:
        return 'no NVIDIA GPU, or no driver for it'
    if not mxnet.runtime.Features().is_enabled('CUDA'):
        return ('this is the CPU build of MXNet; the CUDA build is installed with '
                'pip install --no-deps -r requirements-cu112.txt in an environment of its own')
    if index >= len(capabilities):
        return f'there are {len(capabilities)} GPUs, the last is gpu:{len(capabilities) - 1}'
    if not LOWEST <= capabilities[index] < BEYOND:
        capability = '.'.join(map(str, capabilities[index]))
        return (f'gpu:{index} has compute capability {capability}, but MXNet 1.9.1 has code for '
                '5.x to 8.x only')
    return None


def _driver() -> ctypes.CDLL | None:
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return None
    return driver if driver.cuInit(0) == 0 else None


def compute_capabilities() -> list[tuple[int, int]]:
    """Return (major, minor) of each NVIDIA GPU that the driver shows; empty without one."""
    driver, count = _driver(), ctypes.c_int()
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    capabilities = []
    for index in range(count.value):
        gpu, value, capability = ctypes.c_int(), ctypes.c_int(), []
        driver.cuDeviceGet(ctypes.byref(gpu), index)
        for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
            driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, gpu)
            capability.append(value.value)
        capabilities.append(tuple(capability))
    return capabilities


def describe(devices: list[mxnet.Context], n_workers: int = 1) -> str:
    """Return the devices in words, for config.json."""
    if devices[0].device_type == 'gpu':
        capabilities = compute_capabilities()
        text = ', '.join(f'gpu:{d.device_id} (compute capability '
                         f'{".".join(map(str, capabilities[d.device_id]))})' for d in devices)
    else:
        text = ', '.join('cpu' if len(devices) == 1 else f'cpu:{d.device_id}' for d in devices)
        text += f' ({process.threads()} threads)'
    return text + (f', on each of {n_workers} workers' if n_workers > 1 else '')


def free_bytes(ctx: mxnet.Context) -> float:
    """Return the bytes of memory that this process may still take on a device.

    Infinite where nothing says how many they are.
    """
    if ctx.device_type == 'gpu':
        return mxnet.context.gpu_memory_info(ctx.device_id)[0]
    free = [_kilobytes('/proc/meminfo', 'MemAvailable', math.inf)]
    for most, used, report, cached in CONTAINER_MEMORY:
        with contextlib.suppress(OSError, ValueError):  # ValueError: max, for no limit
            left = int((CGROUP / most).read_text()) - int((CGROUP / used).read_text())
            found = re.search(rf'^{cached} (\d+)$', (CGROUP / report).read_text(), re.M)
            free.append(left + int(found[1] if found else 0))  # which makes room
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        free.append(limit - _kilobytes('/proc/self/status', 'VmSize', 0))
    return min(free)


def _kilobytes(path: str, field: str, unknown: float) -> float:
    """Return a field of one of Linux's reports, in bytes; unknown: where it is not shown."""
    with contextlib.suppress(OSError):
        if found := re.search(rf'^{field}:\s*(\d+) kB', Path(path).read_text(), re.M):
            return 1024 * int(found[1])
    return unknown
