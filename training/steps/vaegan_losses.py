"""The losses of a VAE/GAN with a learned similarity: what each of its three nets minimises.

Images are compared by features of the discriminator (Larsen et al., 2016).
"""
from collections.abc import Callable
from dataclasses import dataclass

from mxnet import autograd, nd
from mxnet.ndarray import NDArray

from training.experiments.row import VaeGan
from training.steps.batchnorm import RunningStatistics
from training.steps.losses import LIKELIHOODS, adversarial, cross_entropy, kl_divergence
from training.steps.networks import VaeGanNetworks

FOR_RECONSTRUCTION, FOR_SAMPLE, FOR_LABELS = range(3)  # which noise of a step
N_LABELS = 6  # numbers an image: the label's place and its flip; real, reconstruction, sample


@dataclass(frozen=True)
class Losses:
    """What the losses of a batch are made of; arrays (1,)."""
    kl: NDArray
    similarity: NDArray
    gan: list[NDArray]       # the decoder's term, of reconstructions, samples or both
    costs: list[NDArray]     # the discriminator's: of real images, then of those fakes
    accuracies: list[NDArray]

    def encoder(self, row: VaeGan, n_pixels: int, share: float = 1.0) -> NDArray:
        """Return the encoder's loss: KL + similarity, weighted. share: of a full batch."""
        return normalised(row, self.kl, n_pixels, share) + row.beta * self.similarity

    def decoder(self, row: VaeGan) -> NDArray:
        """Return the decoder's loss: similarity + GAN term, weighted."""
        return row.gamma * self.similarity + row.disc_weight * sum(self.gan[1:], self.gan[0])

    @property
    def disc(self) -> NDArray:
        """The discriminator's loss: cross entropy of real images and fakes."""
        return sum(self.costs[1:], self.costs[0])


def normalised(row: VaeGan, kl: NDArray, n_pixels: int, share: float) -> NDArray:
    """Return KL, a mean over images, as it enters the encoder's loss.

    By pixels: as B, which divides by a full batch always. share: what part of one this is.
    """
    return kl * {'images': 1, 'latents': 1 / row.n_latent,
                 'pixels': share / n_pixels}[row.kl_normaliser]


def discriminator_terms(row: VaeGan, feature_disc, x: NDArray, x_hat: NDArray, sample: NDArray,
                        noise: Callable, scale: float,
                        statistics: RunningStatistics | None = None) -> tuple[
                            NDArray, list[NDArray], list[NDArray], list[NDArray]]:
    """Return similarity, GAN terms, costs and accuracies: all that needs the discriminator.

    x, x_hat, sample (b, c, h, w). scale: 1 / images of the whole batch. statistics: of a
    discriminator with BatchNorm, which passes behind its costs move, and others do not.
    """
    fakes = {'both': (1, 2), 'reconstructions': (1,), 'samples': (2,)}[row.fakes]
    passes = _features_and_logits(row, feature_disc, [x, x_hat, sample], statistics,
                                  behind_costs=(0, *fakes))
    (features, real), (features_hat, _), _ = passes                     # (b, ...), (b, 1)
    if row.similarity_pass == 'own':  # with dropout: under other masks
        (features, _), (features_hat, _) = _features_and_logits(
            row, feature_disc, [x, x_hat], statistics, behind_costs=())
    similarity = scale * LIKELIHOODS[row.likelihood](features_hat, features).sum()
    seen = {i: passes[i][1] for i in fakes}
    labels = _labels(row, noise)
    costs = [scale * cross_entropy(logit, labels[i]).sum()
             for i, logit in ({0: real} | seen).items()]
    gan = [scale * _gan_term(row, fake).sum() for fake in seen.values()]
    right = [scale * (real > 0).sum(),
             scale / len(seen) * sum((fake < 0).sum() for fake in seen.values())]
    return similarity, gan, costs, right


def _features_and_logits(row: VaeGan, feature_disc, batches: list[NDArray],
                         statistics: RunningStatistics | None,
                         behind_costs: tuple[int, ...]) -> list[tuple[NDArray, NDArray]]:
    """Return features (b, ...) and logits (b, 1) of batches, passed through apart or together."""
    def through(batch: NDArray, counts: bool) -> tuple[NDArray, NDArray]:
        if statistics is None:
            return feature_disc(batch)
        with statistics.kept_back() if counts else statistics.kept():
            return feature_disc(batch)

    if row.disc_batches == 'apart':
        return [through(batch, i in behind_costs) for i, batch in enumerate(batches)]
    outputs = through(nd.concat(*batches, dim=0), bool(behind_costs))
    return [*zip(*(nd.split(output, num_outputs=len(batches), axis=0) for output in outputs),
                 strict=True)]


def batch_losses(row: VaeGan, networks: VaeGanNetworks, x: NDArray, noise: Callable,
                 scale: float) -> Losses:
    """Return all losses of a batch x (b, c, h, w), from one pass.

    noise(which, width): standard normal noise (b, width).
    """
    vae = networks.vae
    mean, logvar = vae.split(nd, vae.encoder(x))                        # (b, z)
    x_hat = vae.decoder(vae.latent(nd, mean, logvar, noise(FOR_RECONSTRUCTION, row.n_latent)))
    sample = vae.decoder(noise(FOR_SAMPLE, row.n_latent))                # (b, c, h, w)
    return Losses(scale * kl_divergence(mean, logvar).sum(),
                  *discriminator_terms(row, networks.feature_disc, x, x_hat, sample, noise, scale))


def _gan_term(row: VaeGan, fake: NDArray) -> NDArray:
    """Return -log D(fake), or as Algorithm 1 has it log(1 - D(fake)); both (b,)."""
    if row.gan_term == 'non-saturating':
        return adversarial(fake, True)
    return -adversarial(fake, False)


def _labels(row: VaeGan, noise: Callable) -> list:
    """Return the targets of real images, reconstructions and samples: (b, 1) or a number each."""
    bounds = [(row.real_low, row.real_high)] + 2 * [(row.fake_low, row.fake_high)]
    if not autograd.is_training():
        return [1.0, 0.0, 0.0]
    if not row.flips and all(low == high for low, high in bounds):
        return [low for low, _ in bounds]
    uniform = 0.5 * (1 + nd.erf(noise(FOR_LABELS, N_LABELS) * 0.5 ** 0.5))  # (b, 6) in [0, 1]
    other, labels = [bounds[1], bounds[0], bounds[0]], []
    for i, ((low, high), (other_low, other_high)) in enumerate(zip(bounds, other, strict=True)):
        place = uniform[:, 2 * i:2 * i + 1]                             # (b, 1)
        flipped = uniform[:, 2 * i + 1:2 * i + 2] < row.flips
        labels.append(flipped * (other_low + (other_high - other_low) * place)
                      + (1 - flipped) * (low + (high - low) * place))
    return labels
