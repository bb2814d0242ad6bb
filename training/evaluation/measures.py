"""The measures of a finished run: how each is taken, what it needs, and how tables show it.

To add one, write its function (here or in metrics.py) and one line of MEASURES: `evaluate`, all
tables, READMEs and the page follow. Never imports MXNet, so that tables can be made without it.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.evaluation import metrics

ACTIVE_VARIANCE = 0.01  # of a latent's mean over images: Burda et al. (2016), arXiv:1509.00519
N_DIVERSITY = 500       # samples whose differences are measured
N_FEATURES = 128        # of both classifiers
FEW = 1000  # images: of fewer a Frechet distance means little
DIGITS = 8  # kept of a measure: beyond are those that threads of a matrix root may change


@dataclass(frozen=True)
class Outputs:
    """What a run's net makes of the first n held-out images, and those images.

    Pictures are (n, h, w, c) uint8; None stands where there is no such thing. A plain GAN has no
    reconstructions and no latents; only some data have classes.
    """
    originals: np.ndarray
    drawn: np.ndarray                    # what a strip shows: reconstructions, or a GAN's samples
    samples: np.ndarray                  # from the prior
    reconstructions: np.ndarray | None = None
    mean: np.ndarray | None = None       # (n, z), of the latents, as the encoder gives it
    logvar: np.ndarray | None = None     # (n, z)
    labels: np.ndarray | None = None     # (n,)
    classified: dict[str, tuple[np.ndarray, np.ndarray]] | None = None  # features (n, f), classes


FEATURES = f'the {N_FEATURES} last hidden features of '
ROTATIONS = (FEATURES + 'a small net that was trained on the training images to tell by how much '
             'each is rotated: it compares within this project and data set only')


@dataclass(frozen=True)
class Measure:
    """A measure.

    take: `Outputs` -> number. needs: the fields of `Outputs` without which there is none. header,
    digits: of its column; without a header it is in no table. explanation: a whole sentence, with
    the value in place of braces, and what features are in place of {features}. total: the measure
    of which this one counts a part.
    """
    take: Callable[[Outputs], float | int | list[float]]
    needs: tuple[str, ...] = ()
    header: str = ''
    digits: int = 0
    explanation: str = ''
    total: str = ''


def _psnr(outputs: Outputs) -> float:
    from skimage.metrics import peak_signal_noise_ratio  # slow to import
    with np.errstate(divide='ignore'):  # where both are the same
        return float(np.mean([peak_signal_noise_ratio(x, x_hat, data_range=255) for x, x_hat in
                              zip(outputs.originals, outputs.reconstructions, strict=True)]))


def _ssim(outputs: Outputs) -> float:
    from skimage.metrics import structural_similarity
    return float(np.mean([structural_similarity(x, x_hat, data_range=255, channel_axis=2) for
                          x, x_hat in zip(outputs.originals, outputs.reconstructions,
                                          strict=True)]))


def _squared_error(outputs: Outputs) -> float:
    return metrics.mean_over(metrics.mean_squared_error, outputs.reconstructions,
                             outputs.originals)


def _kl_per_latent(outputs: Outputs) -> np.ndarray:
    return metrics.kl_per_latent(outputs.mean, outputs.logvar)          # (z,)


def _n_active(outputs: Outputs) -> int | float:
    if len(outputs.mean) < 2:  # one image tells nothing of a variance
        return math.nan
    return int((outputs.mean.var(axis=0) > ACTIVE_VARIANCE).sum())


def _accuracy(outputs: Outputs, pictures: str) -> float:
    return float(np.mean(outputs.classified[pictures][1] == outputs.labels))


def _frechet(outputs: Outputs, pictures: str) -> float:
    of_originals, of_pictures = (outputs.classified[name][0] for name in ('originals', pictures))
    if len(of_originals) <= of_originals.shape[1]:  # no such number of points fills a normal
        return math.nan                             # distribution of so many dimensions
    return metrics.frechet_distance(of_originals, of_pictures)


def _diversity(outputs: Outputs) -> float:
    return metrics.ratio(*(metrics.diversity(pixels[:N_DIVERSITY] / 255)
                           for pixels in (outputs.samples, outputs.originals)))


MEASURES = {  # in the order of a table's columns
    'mean_squared_error': Measure(
        _squared_error, ('reconstructions',), 'squared error', 4,
        'The squared error is a mean over images, pixels and channels, of values in [0, 1].'),
    'psnr': Measure(_psnr, ('reconstructions',), 'PSNR, dB', 2, 'PSNR is a mean over images.'),
    'ssim': Measure(_ssim, ('reconstructions',), 'SSIM', 3, 'SSIM is a mean over images, of '
                    'windows of 7 x 7 pixels in each channel.'),
    'sharpness': Measure(
        lambda o: metrics.relative(metrics.edge_sharpness, o.drawn, o.originals), ('drawn',),
        'sharpness', 2, 'Sharpness is the mean length of the brightness gradient, originals = 1.'),
    'noise': Measure(
        lambda o: metrics.relative(metrics.noise, o.drawn, o.originals), ('drawn',), 'noise', 2,
        "Noise is Immerkaer's estimate of its standard deviation, originals = 1."),
    'kl': Measure(lambda o: float(_kl_per_latent(o).sum()), ('mean',), 'KL', 1, 'KL is a sum over '
                  'latents and a mean over images, in nats.'),
    'kl_per_latent': Measure(lambda o: [round(float(kl), 4) for kl in _kl_per_latent(o)],
                             ('mean',)),
    'latents': Measure(lambda o: o.mean.shape[1], ('mean',)),
    'active_latents': Measure(
        _n_active, ('mean',), 'active latents', 0, 'A latent is active if the variance of its '
        f'mean over images is above {ACTIVE_VARIANCE}.', 'latents'),
    'accuracy': Measure(
        lambda o: _accuracy(o, 'reconstructions'), ('labels', 'reconstructions'), 'accuracy',
        4, 'Accuracy is the share of reconstructions that a small classifier names rightly.'),
    'accuracy_of_originals': Measure(
        lambda o: _accuracy(o, 'originals'), ('labels',), explanation='The classifier, '
        'trained for four epochs on the training images, names {:.2%} of the originals rightly.'),
    'frechet_reconstructions': Measure(
        lambda o: _frechet(o, 'reconstructions'), ('classified', 'reconstructions'), 'Frechet',
        1, 'The Frechet distance is taken between reconstructions and originals, by '
        '{features}.'),
    'sample_sharpness': Measure(
        lambda o: metrics.relative(metrics.edge_sharpness, o.samples, o.originals), (),
        'sharpness of samples', 2, 'The sharpness of samples is that of as many samples from the '
        'prior.'),
    'frechet_samples': Measure(
        lambda o: _frechet(o, 'samples'), ('classified',), 'Frechet of samples', 1, 'The Frechet '
        'distance of samples is taken between these and originals, by {same}.'),
    'diversity': Measure(
        _diversity, (), 'diversity of samples', 2, 'The diversity of samples is the mean standard '
        f'deviation of a pixel over the first {N_DIVERSITY} samples, originals = 1: it counts '
        'noise as well as variety.'),
}


def take(outputs: Outputs) -> dict[str, float | int | list[float]]:
    """Return the measures of a run's outputs by name.

    Those are missing that it lacks something for, and those that are no finite number, such as
    the PSNR of a perfect picture.
    """
    taken = {}
    for name, measure in MEASURES.items():
        if any(getattr(outputs, field) is None for field in measure.needs):
            continue
        value = measure.take(outputs)
        if not isinstance(value, float):
            taken[name] = value
        elif math.isfinite(value):
            taken[name] = round(value, DIGITS)
    return taken


def on_few(n_images: int) -> str:
    """Return what so few images mean for the Frechet distances, in a sentence; else nothing.

    How far two sets of so many original digits are apart was measured on MNIST.
    """
    if n_images >= FEW:
        return ''
    if n_images <= N_FEATURES:
        return (f'Of {N_FEATURES} images or fewer a Frechet distance of as many features '
                'means nothing.')
    return (f'Frechet distances of fewer than {FEW:,} images mean little: between two sets of '
            'original digits they are 15 for 129 images each, 3 for 500 and 2 for 1,000.')


def in_tables() -> dict[str, Measure]:
    """Return the measures that have a column."""
    return {name: measure for name, measure in MEASURES.items() if measure.header}


def glossary() -> dict[str, str]:
    """Return what each measure with a column is, for any data, by its header."""
    features = FEATURES + 'a small classifier: of digits, or of rotations for faces'
    return {measure.header: measure.explanation.format(features=features, same='the same features')
            for measure in in_tables().values()}


def explained(taken: dict) -> str:
    """Return what these measures are, in whole sentences."""
    features = FEATURES + 'the classifier' if 'accuracy_of_originals' in taken else ROTATIONS
    same = 'the same features' if 'frechet_reconstructions' in taken else features
    return ' '.join(measure.explanation.format(taken[name], features=features, same=same)
                    for name, measure in MEASURES.items()
                    if name in taken and measure.explanation)
