"""How much memory training a row takes, before it is taken."""
from math import prod

from mxnet import Context, gluon, sym

from training import device

BYTES_PER_PARAMETER = 4 * 4  # its value, gradient, and Adam's mean and variance
OVERHEAD = 1.25  # peak without libraries / what is needed: see results/memory.csv
KERNELS_BYTES = 160 << 20  # compiled code, loaded when it is first used, and a run's reserve


class MemoryNeedError(ValueError):
    """Nets that do not fit into memory; the message is for the user."""


def activations(net: gluon.Block, *shapes: tuple[int, ...]) -> int:
    """Values that all operators of a net put out for inputs of those shapes."""
    inputs = {f'input{i}': shape for i, shape in enumerate(shapes)}
    inner = net(*map(sym.var, inputs))
    inner = (sym.Group(inner) if isinstance(inner, (list, tuple)) else inner).get_internals()
    arguments = {*inner.list_arguments(), *inner.list_auxiliary_states()}
    _, output_shapes, _ = inner.infer_shape(**inputs)
    return sum(prod(shape) for name, shape in zip(inner.list_outputs(), output_shapes, strict=True)
               if name not in arguments)


def needed(row, vae: gluon.Block, disc: gluon.Block | None, shape: tuple[int, int, int]) -> int:
    """Bytes for parameters, gradients, Adam, and a batch through each net.

    The nets' shapes are known; nothing is allocated. shape: (channels, height, width).
    """
    batch, noise = (row.batch_size, *shape), (row.batch_size, row.n_latent)
    inputs = (batch, noise) if row.encodes else (noise,)
    # A VAE/GAN keeps its passes until all gradients are there: two of the decoder, three of the
    # discriminator
    n_passes = (2, 3) if row.kind_of_combo == 'vaegan' else (1, 1)
    found = 0
    for net, shapes, n in zip((vae, disc), (inputs, (batch,)), n_passes, strict=True):
        if net is not None:
            found += 4 * n * activations(net, *shapes) + BYTES_PER_PARAMETER * sum(
                prod(p.shape) for p in net.collect_params().values())
    return found


def check(row, vae: gluon.Block, disc: gluon.Block | None, shape: tuple[int, int, int],
          ctx: list[Context]) -> None:
    """MemoryNeedError if training will not fit; says how much it needs and how much there is."""
    wanted, free = OVERHEAD * needed(row, vae, disc, shape), min(map(device.free_bytes, ctx))
    if ctx[0].device_type == 'cpu':  # all the same memory; each has parameters of its own
        wanted = wanted * len(ctx) + KERNELS_BYTES
    if wanted > free:
        raise MemoryNeedError(f'{row.name} needs about {wanted / 1e9:.2f} GB of memory, and '
                              f'{free / 1e9:.2f} GB are free; fewer channels, nodes or latents, '
                              'or a smaller batch_size, need less')
