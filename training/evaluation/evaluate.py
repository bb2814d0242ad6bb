"""What a finished run's VAE is worth, over all held-out images."""
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from training.evaluation import inference, metrics

ACTIVE_VARIANCE = 0.01  # of a latent's mean over images: Burda et al. (2016), arXiv:1509.00519
DIGITS = 8  # kept of a measure: beyond are those that threads of a matrix root may change
DRAWN_AGAIN = ('All held-out images, drawn again from one keyed sample of their latent each, and '
               'as many samples from the prior')
SAMPLED = 'As many samples from the prior as there are held-out images'
PROTOCOL = '; BatchNorm with its running statistics; pictures rounded to bytes.'


def evaluate(run, classifier=None) -> dict:
    """The measures of a `runs.FinishedRun`, and how they were taken.

    classifier: of the data's classes (`classifier.TrainedClassifier`); without it, and of a
    plain GAN, some are missing; so is what is no finite number, such as the PSNR of a
    perfect picture.
    """
    images = run.dataset.test
    n = len(images)
    originals = images.first(n)                                         # (n, h, w, c) uint8
    generated = inference.sample(run.vae, run.row, images, run.ctx, n, inference.FOR_CLASSES)
    found = {'sample_sharpness': metrics.relative(metrics.edge_sharpness, generated, originals)}
    drawn = None
    if run.row.encodes:
        drawn = inference.generate(run.vae, images, run.row, run.ctx, n)
        found |= _pixels(originals, drawn) | _latents(run, n)
    if classifier is not None:
        features, _ = classifier(originals)
        found['accuracy_of_originals'] = classifier.accuracy(originals, run.dataset.labels[1])
        found['frechet_samples'] = metrics.frechet_distance(features, classifier(generated)[0])
        if drawn is not None:
            found['accuracy'] = classifier.accuracy(drawn, run.dataset.labels[1])
            found['frechet_reconstructions'] = metrics.frechet_distance(
                features, classifier(drawn)[0])
    return {'protocol': (DRAWN_AGAIN if run.row.encodes else SAMPLED) + PROTOCOL,
            'images': n, 'samples': n, 'seed': run.row.seed,
            'measures': {name: round(value, DIGITS) if isinstance(value, float) else value
                         for name, value in found.items()
                         if not isinstance(value, float) or np.isfinite(value)}}


def _pixels(originals: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """Means over images of what compares two pictures; (n, h, w, c) uint8."""
    pairs = list(zip(originals, drawn, strict=True))
    with np.errstate(divide='ignore'):  # where both are the same
        psnr = [peak_signal_noise_ratio(x, x_hat, data_range=255) for x, x_hat in pairs]
    ssim = [structural_similarity(x, x_hat, data_range=255, channel_axis=2) for x, x_hat in pairs]
    return {'mean_squared_error': metrics.mean_over(metrics.mean_squared_error, drawn, originals),
            'psnr': float(np.mean(psnr)), 'ssim': float(np.mean(ssim)),
            'sharpness': metrics.relative(metrics.edge_sharpness, drawn, originals)}


def _latents(run, n: int) -> dict:
    """KL of each latent, a mean over images, and how many latents say anything of an image."""
    mean, logvar = run.codes(n)
    kl = metrics.kl_per_latent(mean, logvar)
    return {'kl': float(kl.sum()), 'kl_per_latent': [round(float(v), 4) for v in kl],
            'latents': run.row.n_latent,
            'active_latents': int((mean.var(axis=0) > ACTIVE_VARIANCE).sum())}
