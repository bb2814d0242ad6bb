"""How much a step has to compute and to move at least, and what the machine could do at most."""
from training.commands.wiring import set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
import json
import os
import subprocess
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mxnet import sym

import models
from data import table
from training.experiments.registry import Experiment
from training.runtime import memory

REPEATS = 7
# torch's matrix product is MKL's: the fastest here, whoever can use it
CEILINGS = '''
import json, time, torch
torch.set_num_threads({threads})
a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
x, y = torch.randn(1 << 27), torch.empty(1 << 27)
def best(f):
    times = []
    for _ in range({repeats}):
        started = time.perf_counter()
        f()
        times.append(time.perf_counter() - started)
    return min(times)
print(json.dumps([2 * 2048 ** 3 / best(lambda: torch.mm(a, b)),
                  2 * 4 * x.numel() / best(lambda: y.copy_(x))]))
'''


def ceilings(python: Path, threads: int) -> tuple[float, float]:
    """float32 operations a second in a large matrix product, bytes a second in a large copy.

    python: of an environment with torch.
    """
    done = subprocess.run([python, '-c',
                           CEILINGS.format(threads=threads, repeats=REPEATS)],
                          capture_output=True, text=True, check=True,
                          env=os.environ | {'OMP_NUM_THREADS': str(threads)})
    return tuple(json.loads(done.stdout))


@dataclass(frozen=True)
class Net:
    """Of one forward pass of a batch."""
    flops: float
    first: float       # of its first layer
    parameters: int
    activations: int   # values that all operators put out


def net_work(net, batch: int, **inputs: tuple[int, ...]) -> Net:
    """Of a Gluon net for inputs of those shapes, matrix products and convolutions only."""
    inner = net(*map(sym.var, inputs)).get_internals()
    argument_shapes, output_shapes, _ = inner.infer_shape(**inputs)
    shapes = dict(zip(inner.list_arguments(), argument_shapes, strict=True))
    outputs = dict(zip(inner.list_outputs(), output_shapes, strict=True))
    nodes = json.loads(inner.tojson())['nodes']
    names, flops = [node['name'] for node in nodes], []
    for node in nodes:
        if node['op'] not in ('FullyConnected', 'Convolution', 'Deconvolution'):
            continue
        source, weight = (names[entry[0]] for entry in node['inputs'][:2])
        places = outputs[f'{node["name"]}_output'] if node['op'] == 'Convolution' else (
            outputs.get(f'{source}_output') or shapes.get(source) or outputs[f'{source}_output0'])
        at = prod(places[2:]) if node['op'] != 'FullyConnected' else 1
        flops.append(2.0 * batch * prod(shapes[weight]) * at)
    n_parameters = sum(prod(shape) for name, shape in shapes.items() if name not in inputs)
    return Net(sum(flops), flops[0], n_parameters, memory.activations(net, *inputs.values()))


def nets_of(row: Experiment) -> tuple[Net, Net, Net]:
    """A row's encoder, decoder and discriminator."""
    shape, b = table.get(row.data).shape, row.batch_size
    vae = models.build_vae(row, shape)
    return (net_work(vae.encoder, b, x=(b, *shape)), net_work(vae.decoder, b, z=(b, row.n_latent)),
            net_work(models.build_discriminator(row), b, x=(b, *shape)))


def bytes_needed(row: Experiment) -> int:
    """Parameters, gradients, Adam's two means, and what all operators of a batch put out."""
    nets = nets_of(row)
    return 4 * sum(4 * net.parameters + net.activations for net in nets)


def work_of(row: Experiment, kind: str) -> tuple[float, float]:
    """Operations of our step of a row, and bytes that it has to move.

    A backward pass is two forward passes' work, but one where the input needs no gradient, or
    the weights none. Bytes: Adam reads four arrays and writes three; each pass reads the
    weights, and their gradient is written once. Images and features count as none.
    """
    encoder, decoder, disc = nets_of(row)
    if kind == 'solo':
        decodings, decoded_back, disc_passes = 1, 1, 0
    else:
        decodings, decoded_back = (3, 2) if kind == 'published' else (1, 1)
        disc_passes = 1
    flops = (3 * encoder.flops - encoder.first + (decodings + 2 * decoded_back) * decoder.flops
             + disc_passes * (2 * (3 * disc.flops - disc.first) + 2 * disc.flops))
    values = ((7 + 1 + 2) * encoder.parameters
              + (7 + 1 + decodings + decoded_back) * decoder.parameters
              + disc_passes * (7 + 1 + 2 + 2) * disc.parameters)
    return flops, 4.0 * values
