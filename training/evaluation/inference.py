"""What a trained net makes of images and of latents; BatchNorm in inference mode."""
import numpy as np
from mxnet import autograd, nd

from training.experiments.row import Experiment
from training.steps import rng

N_PICTURES = 10  # the first held-out images are the validation images
AT_ONCE = 500    # pictures
FOR_GRID, FOR_CLASSES = 1, 2  # which fixed set of latents samples are of


def generate(vae, held_out, row: Experiment, ctx, n_images: int = N_PICTURES) -> np.ndarray:
    """Return reconstructions of the first held-out images, (n, h, w, c) uint8.

    Of a plain GAN, which has none, as many samples.
    The latent is sampled, not its mean, from one keyed draw; BatchNorm in inference mode.
    """
    noise = rng.noise(row.seed, rng.PICTURES, 0, 0, 0, (n_images, row.n_latent))
    drawn = []
    with autograd.predict_mode():
        for indices in np.split(np.arange(n_images), range(AT_ONCE, n_images, AT_ONCE)):
            eps = nd.array(noise[indices], ctx)
            x_hat = vae(nd.array(held_out[indices], ctx), eps)[0] if row.encodes else vae(eps)
            drawn.append(held_out.to_pixels(x_hat.asnumpy()))           # (b, h, w, c)
    return np.concatenate(drawn)


def sample(vae, row: Experiment, images, ctx, n: int, which: int) -> np.ndarray:
    """Return the first n samples of a fixed set of latents, (n, h, w, c) uint8; inference mode."""
    decoder = vae.decoder if row.encodes else vae
    eps = rng.noise(row.seed, rng.PICTURES, 0, 0, which, (n, row.n_latent))
    with autograd.predict_mode():
        return np.concatenate([images.to_pixels(decoder(nd.array(part, ctx)).asnumpy())
                               for part in np.split(eps, range(AT_ONCE, n, AT_ONCE))])
