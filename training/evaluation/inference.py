"""What a trained net makes of images and of latents; BatchNorm in inference mode."""
import numpy as np
from mxnet import autograd, nd

from training.experiments.row import Row
from training.steps import rng

N_PICTURES = 10  # the first held-out images are the validation images
AT_ONCE = 100    # pictures
ENCODED_AT_ONCE = N_PICTURES  # images: few, for what training took may still be there
FOR_GRID, FOR_CLASSES = 1, 2  # which fixed set of latents samples are of


def generate(vae, held_out, row: Row, ctx, n_images: int = N_PICTURES) -> np.ndarray:
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


def decoder_of(row: Row, vae):
    """Return the net that draws from latents: the VAE's decoder, or a plain GAN's whole net."""
    return vae.decoder if row.encodes else vae


def decode(vae, images, ctx, z: np.ndarray) -> np.ndarray:
    """Return latents (n, z) as pictures (n, h, w, c) uint8."""
    with autograd.predict_mode():
        return images.to_pixels(vae.decoder(nd.array(z, ctx)).asnumpy())


def decode_validation(vae, images, row: Row, ctx, mean: np.ndarray,
                      logvar: np.ndarray) -> np.ndarray:
    """Return what `generate` does, from what the encoder said of the images: (n, z) each."""
    eps = rng.noise(row.seed, rng.PICTURES, 0, 0, 0, mean.shape)
    mean, logvar, eps = (nd.array(array, ctx) for array in (mean, logvar, eps))
    with autograd.predict_mode():
        return images.to_pixels(vae.decoder(vae.latent(nd, mean, logvar, eps)).asnumpy())


def encode(vae, images, ctx, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and log variance (n, z) float32 that the encoder gives the first n images."""
    parts = []
    with autograd.predict_mode():
        for indices in np.split(np.arange(n), range(ENCODED_AT_ONCE, n, ENCODED_AT_ONCE)):
            x = nd.array(images[indices], ctx)
            parts.append([part.asnumpy() for part in vae.split(nd, vae.encoder(x))])
    mean, logvar = map(np.concatenate, zip(*parts, strict=True))
    return mean, logvar


def sample(vae, row: Row, images, ctx, n: int, which: int) -> np.ndarray:
    """Return the first n samples of a fixed set of latents, (n, h, w, c) uint8; inference mode."""
    decoder = decoder_of(row, vae)
    eps = rng.noise(row.seed, rng.PICTURES, 0, 0, which, (n, row.n_latent))
    with autograd.predict_mode():
        return np.concatenate([images.to_pixels(decoder(nd.array(part, ctx)).asnumpy())
                               for part in np.split(eps, range(AT_ONCE, n, AT_ONCE))])
