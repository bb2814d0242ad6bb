"""How much memory training a row takes, before it is taken."""
import resource
from math import prod

from mxnet import Context, gluon, sym

from training.experiments.row import Row
from training.runtime import device

BYTES_PER_PARAMETER = 4 * 4  # its value, gradient, and Adam's mean and variance
OVERHEAD = 1.2  # measured / needed: see results/memory.csv
KERNELS_BYTES = 200 << 20  # compiled code, loaded when it is first used, and a run's reserve


class MemoryNeedError(ValueError):
    """Nets that do not fit into memory; the message is for the user."""


def activations(net: gluon.Block, *shapes: tuple[int, ...]) -> int:
    """Return how many values all operators of a net put out for inputs of those shapes."""
    inputs = {f'input{i}': shape for i, shape in enumerate(shapes)}
    inner = net(*map(sym.var, inputs))
    inner = (sym.Group(inner) if isinstance(inner, (list, tuple)) else inner).get_internals()
    arguments = {*inner.list_arguments(), *inner.list_auxiliary_states()}
    _, output_shapes, _ = inner.infer_shape(**inputs)
    return sum(prod(shape) for name, shape in zip(inner.list_outputs(), output_shapes, strict=True)
               if name not in arguments)


def needed(row: Row, vae: gluon.Block, disc: gluon.Block | None,
           shape: tuple[int, int, int]) -> int:
    """Return the bytes for parameters, gradients, Adam, and a batch through each net.

    The nets' shapes are known; nothing is allocated. shape: (channels, height, width).
    """
    batch, noise = (row.batch_size, *shape), (row.batch_size, row.n_latent)
    inputs = (batch, noise) if row.encodes else (noise,)
    # What is kept at a time: a solo epoch's pass, of combo epochs' two of the VAE, and four of the
    # discriminator with what goes back through it (as measured)
    n_passes = bool(row.solo_epochs) + 2 * bool(row.combo_epochs), 4
    total = 0
    for net, shapes, n in zip((vae, disc), (inputs, (batch,)), n_passes, strict=True):
        if net is not None:
            total += 4 * n * activations(net, *shapes) + BYTES_PER_PARAMETER * sum(
                prod(p.shape) for p in net.collect_params().values())
    return total


def foreseen(row: Row, vae: gluon.Block, disc: gluon.Block | None,
             shape: tuple[int, int, int], n_copies: int = 1) -> float:
    """Return the bytes that a run will take on a CPU, libraries and images aside."""
    return OVERHEAD * n_copies * needed(row, vae, disc, shape) + KERNELS_BYTES


def peak() -> str:
    """Return the most memory that this process has taken so far, in words: libraries and all."""
    n_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f'{n_bytes / 1e9:.1f} GB' if n_bytes >= 1e9 else f'{n_bytes / 1e6:.1f} MB'


def check(row: Row, vae: gluon.Block, disc: gluon.Block | None, shape: tuple[int, int, int],
          ctx: list[Context]) -> None:
    """Raise MemoryNeedError if training will not fit; it says what is needed and what is free."""
    if ctx[0].device_type == 'cpu':  # all the same memory; each has parameters of its own
        wanted = foreseen(row, vae, disc, shape, len(ctx))
    else:
        wanted = OVERHEAD * needed(row, vae, disc, shape)
    free = min(map(device.free_bytes, ctx))
    if wanted > free:
        raise MemoryNeedError(f'{row.name} needs about {wanted / 1e9:.2f} GB of memory, and '
                              f'{free / 1e9:.2f} GB are free; fewer channels, nodes or latents, '
                              'or a smaller batch_size, need less')
