"""Pictures of what a finished run's net has learned, beside its reconstructions.

Samples from the prior, the way between two images, what single latents do, and the training
images nearest to samples. The net draws in inference mode; latents are fixed by the run's seed.
"""

import numpy as np

from training.evaluation import inference
from training.steps import phases

SIDE = 8            # of the square of samples
N_STEPS = 9         # pictures of a way or of a traversal
N_TRAVERSED = 8     # latents
REACH = 3.0         # standard deviations of the prior to either side
N_NEAREST = 10      # samples
AT_ONCE = 2000      # training images


def explore(run, between: tuple[int, int] = (0, 1)) -> dict[str, tuple]:
    """Return by name a figure's title, headers of its columns and its rows, for `draw_rows`.

    run: a `FinishedRun`; of a plain GAN there are two figures. between: two held-out images, by
    their places.
    """
    images, row = run.dataset.test, run.row
    square = inference.sample(run.vae, row, images, run.ctx, SIDE ** 2, inference.FOR_GRID)
    drawn = {'samples': (f'{SIDE ** 2} samples from the prior', None,
                         [('', part) for part in np.split(square, SIDE)])}
    if row.encodes:
        drawn |= _ways(run, between)
    n_train = phases.n_images(len(run.dataset.train), row)
    if n_train:
        nearest, apart = nearest_images(square[:N_NEAREST], run.dataset.train, n_train)
        drawn['nearest'] = (
            'Samples, and the training image nearest to each',
            [f'{d:.3f}' for d in apart],
            [('sample', square[:N_NEAREST]), ('nearest; above:\nsquared error', nearest)])
    return drawn


def _ways(run, between: tuple[int, int]) -> dict:
    """Between two images, and along single latents from the first of them."""
    images = run.dataset.test

    def decode(z: np.ndarray) -> np.ndarray:
        return inference.decode(run.vae, images, run.ctx, z.astype(np.float32))

    kl = run.kl_per_latent()                                            # (z,)
    start, end = run.codes(max(between) + 1)[0][[*between]]             # (z,) each
    parts = np.linspace(0, 1, N_STEPS)
    path = start + parts[:, None] * (end - start)                       # (steps, z)
    first, last = (images.between(i, i + 1) for i in between)
    way = np.concatenate([first, decode(path), last])
    most = np.argsort(-kl, kind='stable')[:N_TRAVERSED]
    values = np.linspace(-REACH, REACH, N_STEPS)
    rows = []
    for latent in most:
        z = np.tile(start, (N_STEPS, 1))
        z[:, latent] = values
        rows.append((f'latent {latent}\nKL {kl[latent]:.2f}', decode(z)))
    return {
        'interpolation': (f'From held-out image {between[0]} to {between[1]}, by their means',
                          ['original', *(f'{part:.0%}' for part in parts), 'original'],
                          [('', way)]),
        'traversals': (f'Held-out image {between[0]} with one latent changed, to so many standard '
                       f'deviations of the prior; KL: a mean over {run.n_measured} images',
                       [f'{value:+.1f}' for value in values], rows)}


def nearest_images(pictures: np.ndarray, images,
                   n_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each picture (n, h, w, c) uint8, which of the first images is nearest to it.

    Those images (n, h, w, c), and their mean squared errors (n,) of values in [0, 1].
    """
    wanted = pictures.reshape(len(pictures), -1) / np.float32(255)      # (n, v)
    least, found = np.full(len(pictures), np.inf), np.zeros(len(pictures), int)
    for begin in range(0, n_images, AT_ONCE):
        part = images.between(begin, min(begin + AT_ONCE, n_images))
        part = part.reshape(len(part), -1) / np.float32(255)            # (m, v)
        apart = ((wanted ** 2).sum(axis=1)[:, None] + (part ** 2).sum(axis=1)
                 - 2 * wanted @ part.T) / wanted.shape[1]               # (n, m)
        nearer = apart.min(axis=1) < least
        found[nearer] = begin + apart.argmin(axis=1)[nearer]
        least = np.minimum(least, apart.min(axis=1))
    return np.concatenate([images.between(i, i + 1) for i in found]), np.maximum(least, 0)
