"""Parameter files (MXNet's .params format), written atomically and checked before use.

MXNet's own loader is not used: it can crash on a damaged file. The layout is read here, and
names and shapes are compared with the net's before anything is copied into it.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.steps import kernels
from training.storage import files

LIST_MAGIC, ARRAY_MAGIC, DENSE, FLOAT32, CPU = 0x112, 0xF993FAC9, 0, 0, 1
MAX_DIMS = 8


class ParamsError(ValueError):
    """A parameter file that is missing, damaged or another net's; the message is for the user."""


def save(net, path: Path) -> None:
    """Write a Gluon net's parameters and running statistics, as its save_parameters does.

    Of several devices' running statistics the mean is taken. OSError if the file cannot be
    written whole; an older one stays.
    """
    arrays = {name: _mean([kernels.view(copy) for copy in parameter.list_data()])
              for name, parameter in net._collect_params_with_prefix().items()}
    files.write(path, _pieces(arrays))


def _mean(copies: list[np.ndarray]) -> np.ndarray:
    return copies[0] if len(copies) == 1 else np.mean(copies, axis=0)


def _pieces(arrays: dict[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a .params file."""
    yield struct.pack('<QQQ', LIST_MAGIC, 0, len(arrays))
    for array in arrays.values():
        yield struct.pack(f'<IiI{array.ndim}qiii', ARRAY_MAGIC, DENSE, array.ndim, *array.shape,
                          CPU, 0, FLOAT32)
        yield memoryview(np.ascontiguousarray(array, '<f4').reshape(-1)).cast('B')
    yield struct.pack('<Q', len(arrays))
    for name in map(str.encode, arrays):
        yield struct.pack('<Q', len(name)) + name


def load(net, path: Path, ctx) -> None:
    """Read what `save` wrote into a net of the same structure, all of it or nothing."""
    give(net, read(path), path, ctx)


def give(net, arrays: dict[str, np.ndarray], path: Path, ctx) -> None:
    """Give a net its parameters by name, all of them or nothing.

    ParamsError, which names the file that they are from, unless they are those of this net.
    """
    wanted = net._collect_params_with_prefix()  # the names that save_parameters writes
    if arrays.keys() != wanted.keys():
        odd = sorted(arrays.keys() ^ wanted.keys())[0]
        raise ParamsError(f'{path}: parameters of another net ({odd!r} is only in '
                          f'{"the file" if odd in arrays else "the net"})')
    for name, parameter in wanted.items():
        shape = arrays[name].shape
        if len(shape) != len(parameter.shape) or any(
                wants not in (0, has) for wants, has in zip(parameter.shape, shape, strict=True)):
            raise ParamsError(f'{path}: parameters of another net ({name} has shape {shape}, '
                              f'expected {parameter.shape})')
    for name, parameter in wanted.items():
        parameter.shape = arrays[name].shape
        parameter.initialize(ctx=ctx, force_reinit=True)
        parameter.set_data(arrays[name])


def read(path: Path) -> dict[str, np.ndarray]:
    """Return a .params file's arrays by name, float32. ParamsError if it is not whole."""
    try:
        return _parse(memoryview(path.read_bytes()))
    except OSError as error:
        raise ParamsError(f'{path}: cannot be read ({error.strerror})') from None
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise ParamsError(f'{path}: not a whole parameter file ({error})') from None


def _parse(content: memoryview) -> dict[str, np.ndarray]:
    position = 0

    def take(form: str) -> tuple:
        nonlocal position
        values = struct.unpack_from(form, content, position)
        position += struct.calcsize(form)
        return values

    def take_bytes(count: int) -> memoryview:
        nonlocal position
        if count > len(content) - position:
            raise ValueError(f'{len(content)} bytes, expected {position + count} or more')
        position += count
        return content[position - count:position]

    magic, _, n_arrays = take('<QQQ')
    if magic != LIST_MAGIC:
        raise ValueError(f'magic number {magic:#x}, expected {LIST_MAGIC:#x}')
    arrays = []
    for _ in range(min(n_arrays, len(content))):
        magic, storage, n_dims = take('<IiI')
        if magic != ARRAY_MAGIC or storage != DENSE or n_dims > MAX_DIMS:
            raise ValueError('not an array of dense values')
        shape = take(f'<{n_dims}q')
        _device, _device_id, kind = take('<iii')
        if kind != FLOAT32 or any(size < 1 for size in shape):
            raise ValueError(f'type {kind} and shape {shape}, expected float32 values')
        size = int(np.prod(shape, dtype=object))
        arrays.append(np.frombuffer(take_bytes(4 * size), '<f4').reshape(shape))
    n_names, = take('<Q')
    if n_names != len(arrays) or len(arrays) != n_arrays:
        raise ValueError(f'{n_names} names, expected {n_arrays}')
    names = [str(take_bytes(take('<Q')[0]), 'utf-8') for _ in arrays]
    if position != len(content) or len(set(names)) != len(names):
        raise ValueError(f'{len(content)} bytes, expected {position}')
    return dict(zip(names, arrays, strict=True))
