"""A step that is written for one device, on all devices that share a batch.

Such a step is a generator: it yields each trainer when its nets' gradients are there, and in the
end its terms. All devices run up to the same trainer before that updates, and its update adds up
their gradients: so a step may touch nothing of another device's.
"""
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mxnet import gluon
from mxnet.ndarray import NDArray

from training.steps.networks import Networks

Noise = Callable[[int], NDArray]
Step = Iterator[gluon.Trainer | NDArray]


@dataclass(frozen=True)
class Weights:
    """What multiplies the terms of the VAE's loss; in a solo epoch KL alone."""
    pixel: float
    adversarial: float
    n_images: int | None = None  # of the whole batch, on all devices; none: those of x
    kl: float = 1.0


def on_devices(step: Callable[..., Step]) -> Callable[..., NDArray]:
    """Return a step for one device as a step for one or several; see above."""
    @functools.wraps(step)
    def run(networks: Networks, x: NDArray | list[NDArray], noise: Callable,
            weights: Weights) -> NDArray:
        parts = x if isinstance(x, list) else [x]
        noise = functools.cache(noise)  # once, though every device asks
        n_images = weights.n_images or sum(len(part) for part in parts)
        runs = [step(networks, part, noise if part is x else lambda *what, i=i: noise(*what)[i],
                     weights, 1 / n_images) for i, part in enumerate(parts)]
        for yielded in zip(*runs, strict=True):
            if isinstance(yielded[0], gluon.Trainer):
                yielded[0].step(1)
        return functools.reduce(
            NDArray.__add__, (terms.as_in_context(parts[0].context) for terms in yielded))
    return run
