"""Pictures of what a finished run's net has learned, beside its reconstructions.

Samples from the prior, the interpolation between two images, traversals of single latents, and the
training images nearest to samples. The net is in inference mode; latents are fixed by the run's
seed.
"""
import numpy as np
from scipy.spatial.distance import cdist

from training.steps import phases

SIDE = 8            # of the square of samples
N_STEPS = 9         # pictures of an interpolation or of a traversal
N_TRAVERSED = 8     # latents
REACH = 3.0         # standard deviations of the prior to either side
N_NEAREST = 10      # samples
AT_ONCE = 2000      # training images


def explore(run, between: tuple[int, int] = (0, 1)) -> dict[str, tuple]:
    """Return by name a figure's title, headers of its columns and its rows, for `draw_rows`.

    run: a `TrainedNet` with its data; of a plain GAN there are two figures. between: two held-out
    images, by their places.
    """
    row = run.row
    square = run.fixed_samples(SIDE ** 2)
    figures = {'samples': (f'{SIDE ** 2} samples from the prior', None,
                           [('', part) for part in np.split(square, SIDE)])}
    if row.encodes:
        figures |= _of_latents(run, between)
    n_train = phases.n_used(len(run.dataset.train), row)
    if n_train:
        nearest, errors = nearest_images(square[:N_NEAREST], run.dataset.train, n_train)
        figures['nearest'] = (
            'Samples, and the training image nearest to each',
            [f'{error:.3f}' for error in errors],
            [('sample', square[:N_NEAREST]), ('nearest; above:\nsquared error', nearest)])
    return figures


def _of_latents(run, between: tuple[int, int]) -> dict:
    """Return the interpolation between two images, and traversals of latents of the first."""
    kl = run.kl_per_latent()                                            # (z,)
    start, end = run.codes(max(between) + 1)[0][[*between]]             # (z,) each
    parts = np.linspace(0, 1, N_STEPS)
    path = start + parts[:, None] * (end - start)                       # (steps, z)
    first, last = (run.images.between(i, i + 1) for i in between)
    interpolation = np.concatenate([first, run.draw(path), last])
    largest = np.argsort(-kl, kind='stable')[:N_TRAVERSED]
    values = np.linspace(-REACH, REACH, N_STEPS)
    traversals = []
    for latent in largest:
        z = np.tile(start, (N_STEPS, 1))
        z[:, latent] = values
        traversals.append((f'latent {latent}\nKL {kl[latent]:.2f}', run.draw(z)))
    return {
        'interpolation': (f'From held-out image {between[0]} to {between[1]}, by their means',
                          ['original', *(f'{part:.0%}' for part in parts), 'original'],
                          [('', interpolation)]),
        'traversals': (f'Held-out image {between[0]} with one latent changed, to so many standard '
                       f'deviations of the prior; KL: a mean over {run.n_measured} images',
                       [f'{value:+.1f}' for value in values], traversals)}


def nearest_images(pictures: np.ndarray, images,
                   n_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each picture (n, h, w, c) uint8 the nearest of the first images.

    Those images (n, h, w, c), and their mean squared errors (n,) of values in [0, 1].
    """
    flat = pictures.reshape(len(pictures), -1) / 255                    # (n, v)
    squared = []
    for begin in range(0, n_images, AT_ONCE):
        part = images.between(begin, min(begin + AT_ONCE, n_images))
        squared.append(cdist(flat, part.reshape(len(part), -1) / 255, 'sqeuclidean'))
    errors = np.concatenate(squared, axis=1) / flat.shape[1]            # (n, images)
    nearest = errors.argmin(axis=1)
    return (np.concatenate([images.between(i, i + 1) for i in nearest]),
            errors[np.arange(len(errors)), nearest])
