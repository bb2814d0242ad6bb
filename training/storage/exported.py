"""Nets in files for other programs: all of them in safetensors, or each as an ONNX graph.

Graphs are made by MXNet's own exporter with the package onnx, which is no part of
requirements.txt, for nothing else needs it.
"""
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mxnet
import numpy as np
from mxnet import sym
from mxnet.gluon import HybridBlock

from training.steps import kernels
from training.storage import tensors

REQUIREMENTS = 'training/requirements-export.txt'
BATCH = 'N'                     # how the first axis, of any length, is called
OPSET = 13                      # of operators: the newest that MXNet 1.9.1 knows
MOST_BYTES = 2 ** 31 - 2 ** 20  # of parameters in a graph: its file is one message, below 2 GB


class ExportError(ValueError):
    """Nets that cannot be exported; the message is for the user."""


@dataclass(frozen=True)
class Tensor:
    """What a net takes or gives: its name, its shape without the batch, what its values are."""
    name: str
    shape: tuple[int, ...]
    meaning: str

    def described(self) -> str:
        """Return all of it but the name, in words."""
        return f'float32 ({", ".join(map(str, (BATCH, *self.shape)))}): {self.meaning}'


@dataclass(frozen=True)
class Part:
    """A net by its name, with what it takes and gives.

    forward: the symbol that it takes -> those that it gives.
    """
    name: str
    net: HybridBlock
    forward: Callable
    takes: Tensor
    gives: tuple[Tensor, ...]

    def described(self) -> dict[str, str]:
        """Return what it takes and gives, in words by name."""
        return {tensor.name: tensor.described() for tensor in (self.takes, *self.gives)}


def safetensors_file(parts: list[Part], metadata: dict[str, str]) -> Iterator:
    """Return the pieces of a safetensors file: parameters by `net/name`, running means too."""
    arrays = {f'{part.name}/{name}': np.ascontiguousarray(kernels.view(parameter.data()))
              for part in parts
              for name, parameter in part.net._collect_params_with_prefix().items()}
    words = {name: text for part in parts for name, text in part.described().items()}
    return tensors.pieces(metadata | words, arrays)


def check_package() -> None:
    """Raise ExportError unless onnx can be imported, in a version that MXNet's exporter knows."""
    try:
        from onnx import mapping  # noqa: F401  which later versions lack
    except ImportError as error:
        raise ExportError(f'--format onnx needs the package onnx as MXNet 1.9.1 knows it '
                          f'({error}): pip install -r {REQUIREMENTS}') from None


def onnx_file(part: Part, metadata: dict[str, str]) -> bytes:
    """Return an ONNX file of a net in inference mode, for batches of any size.

    ExportError if the net is too large, or has an operator that MXNet's exporter does not know.
    """
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph
    from onnx import TensorProto, helper
    parameters = {p.name: p.data() for p in part.net.collect_params().values()}
    n_bytes = sum(4 * array.size for array in parameters.values())
    if n_bytes > MOST_BYTES:
        raise ExportError(f'{part.name}: {n_bytes / 1e9:.1f} GB of parameters, expected less than '
                          '2 in an ONNX file; --format safetensors takes any number')
    symbol = sym.Group([sym.identity(given, name=tensor.name) for given, tensor in zip(
        part.forward(sym.var(part.takes.name)), part.gives, strict=True)])
    try:
        graph = MXNetGraph().create_onnx_graph_proto(
            symbol, parameters, [(1, *part.takes.shape)], [TensorProto.FLOAT],
            opset_version=OPSET, dynamic=True, dynamic_input_shapes=[(BATCH, *part.takes.shape)])
    except AttributeError as error:  # MXNet's, for an operator
        raise ExportError(f'{part.name}: no ONNX graph can be made of it ({error})') from None
    graph.name = part.name
    _tidy(graph, part)
    opset = [helper.make_opsetid('', OPSET)]
    model = helper.make_model(graph, producer_name='MXNet', producer_version=mxnet.__version__,
                              opset_imports=opset,
                              ir_version=helper.find_min_ir_version_for(opset))
    helper.set_model_props(model, metadata | part.described())
    return model.SerializeToString()


def _tidy(graph, part: Part) -> None:
    """Let a graph take and give what the net does, with its shapes, and hold nothing idle.

    MXNet's exporter counts parameters among what a graph takes, and leaves its own constants.
    """
    from onnx import TensorProto, helper
    for ports, wanted in ((graph.input, [part.takes]), (graph.output, part.gives)):
        del ports[:]
        ports.extend(helper.make_tensor_value_info(
            tensor.name, TensorProto.FLOAT, (BATCH, *tensor.shape), tensor.meaning)
            for tensor in wanted)
    used = {name for node in graph.node for name in node.input}
    for array in [array for array in graph.initializer if array.name not in used]:
        graph.initializer.remove(array)
