"""Named arrays in a safetensors file: nothing in it is run on load."""
import json
import struct
from collections.abc import Iterator

import numpy as np

KINDS = {'float16': 'F16', 'float32': 'F32', 'float64': 'F64'}


def pieces(metadata: dict[str, str], arrays: dict[str, np.ndarray]) -> Iterator:
    """Return the bytes of a safetensors file of arrays of KINDS, piece by piece.

    Not left to its library, which ends the process where memory is short.
    """
    header, end = {'__metadata__': metadata}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {'dtype': KINDS[array.dtype.name], 'shape': array.shape,
                        'data_offsets': [start, end]}
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    yield struct.pack('<Q', len(text)) + text
    for array in arrays.values():
        yield memoryview(array.reshape(-1)).cast('B')
