"""The losses of a VAE/GAN with a learned similarity: what each of its three nets minimises.

Images are compared by features of the discriminator (Larsen et al., 2016).
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mxnet import autograd, nd
from mxnet.ndarray import NDArray

from training.experiments.row import VaeGan
from training.steps import losses
from training.steps.batchnorm import RunningStatistics
from training.steps.losses import (
    LIKELIHOODS,
    adversarial,
    cross_entropy,
    kl_divergence,
    with_gradient,
)
from training.steps.networks import VaeGanNetworks
from training.steps.passes import Passes

FOR_RECONSTRUCTION, FOR_SAMPLE, FOR_LABELS = range(3)  # which noise of a step
N_LABELS = 6  # numbers an image: the label's place and its flip; real, reconstruction, sample


@dataclass(frozen=True)
class Losses:
    """What the losses of a batch are made of; arrays (1,), or numbers."""
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


@dataclass(frozen=True)
class Judged:
    """What a discriminator says of a batch, and the gradients of the losses by hand.

    Lists are of real images, reconstructions and samples; none: these have no part in the loss.
    """
    losses: Losses
    logits: Passes
    features: Passes
    d_costs: list[NDArray | None]     # of logits (b, 1)
    d_gan: list[NDArray | None]
    d_features: list[NDArray | None]  # of the similarity, (b, ...)


def judge(row: VaeGan, networks: VaeGanNetworks, images: list[NDArray], noise: Callable,
          scale: float, statistics: RunningStatistics) -> Judged:
    """Return the losses that need the discriminator, all but KL, with their gradients.

    images: x, x_hat and a sample, (b, c, h, w) each. scale: 1 / images of the whole batch.
    statistics: of its BatchNorm, which passes behind its costs move, and others do not.
    """
    side_by_side = row.disc_batches == 'together' or networks.one_by_one['disc']
    seen = (0, *_fakes(row))
    passes = Passes.through(networks.feature_disc, images, side_by_side, [
        statistics.kept_back if i in seen else statistics.kept for i in range(len(images))])
    compared = passes
    if row.similarity_pass == 'own':  # with dropout: under other masks
        compared = Passes.through(networks.feature_disc, images[:2], side_by_side,
                                  2 * [statistics.kept])
    logits, features = passes.of(1), compared.of(0)
    real, hat = features.parts()[:2]
    similarity, d_hat = with_gradient(LIKELIHOODS[row.likelihood], hat, real, scale=scale)
    with autograd.train_mode():
        labels = _labels(row, noise)
    heads = {i: _heads(row, logit, labels[i], scale) for i, logit in enumerate(logits.parts())
             if i in seen}
    n_fakes = len(seen) - 1
    return Judged(
        Losses(0.0, similarity, [heads[i].gan for i in seen[1:]], [heads[i].cost for i in seen],
               [scale * heads[0].n_real, scale / n_fakes * sum(heads[i].n_fake
                                                               for i in seen[1:])]),
        logits, features,
        [heads[i].d_cost if i in seen else None for i in range(3)],
        [None, *(heads[i].d_gan if i in seen else None for i in (1, 2))],
        [-d_hat, d_hat] + [None] * (compared.n_batches - 2))


@dataclass(frozen=True)
class Heads:
    """Sums over a batch of what a logit is in losses, and their gradients (b, 1)."""
    cost: float | NDArray
    gan: float | NDArray
    n_real: float | NDArray  # taken for real
    n_fake: float | NDArray
    d_cost: NDArray
    d_gan: NDArray


def _heads(row: VaeGan, logit: NDArray, label: float | NDArray, scale: float) -> Heads:
    """Return a batch's part in the discriminator's cost and in the decoder's GAN term."""
    on_cpu = losses.on_cpu(logit)
    F = np if on_cpu else nd  # so few numbers that calls of MXNet's operators cost more
    if on_cpu:
        logit, label = (value.asnumpy() if isinstance(value, NDArray) else value
                        for value in (logit, label))
    small = F.exp(-F.abs(logit))                                        # (b, 1)
    sigmoid = F.exp(F.minimum(logit, 0)) / (1 + small)
    softplus = F.maximum(logit, 0) + F.log1p(small)
    if row.gan_term == 'saturating':  # log(1 - D)
        gan, d_gan = -softplus, -scale * sigmoid
    else:                             # -log D
        gan, d_gan = softplus - logit, scale * (sigmoid - 1)
    sums = (scale * (softplus - label * logit).sum(), scale * gan.sum(), (logit > 0).sum(),
            (logit < 0).sum())
    gradients = scale * (sigmoid - label), d_gan
    if on_cpu:
        sums = map(float, sums)
        gradients = (nd.from_numpy(one.astype(np.float32)) for one in gradients)
    return Heads(*sums, *gradients)


def _fakes(row: VaeGan) -> tuple[int, ...]:
    """Return which of x, x_hat and sample the discriminator sees beside x."""
    return {'both': (1, 2), 'reconstructions': (1,), 'samples': (2,)}[row.fakes]


def discriminator_terms(row: VaeGan, feature_disc, images: list[NDArray], noise: Callable,
                        scale: float, side_by_side: bool) -> tuple[
                            NDArray, list[NDArray], list[NDArray], list[NDArray]]:
    """Return similarity, GAN terms, costs and accuracies: all that needs the discriminator.

    images: x, x_hat and a sample, (b, c, h, w) each. scale: 1 / images of the whole batch.
    """
    passes = _through(feature_disc, images, side_by_side)
    (features, real), (features_hat, _), _ = passes                     # (b, ...), (b, 1)
    if row.similarity_pass == 'own':  # with dropout: under other masks
        (features, _), (features_hat, _) = _through(feature_disc, images[:2], side_by_side)
    similarity = scale * LIKELIHOODS[row.likelihood](features_hat, features).sum()
    seen = {i: passes[i][1] for i in _fakes(row)}
    labels = _labels(row, noise)
    costs = [scale * cross_entropy(logit, labels[i]).sum()
             for i, logit in ({0: real} | seen).items()]
    gan = [scale * _gan_term(row, fake).sum() for fake in seen.values()]
    right = [scale * (real > 0).sum(),
             scale / len(seen) * sum((fake < 0).sum() for fake in seen.values())]
    return similarity, gan, costs, right


def _through(net, batches: list[NDArray], side_by_side: bool) -> list:
    """Return what a net makes of batches: of each by itself, or of all in one pass."""
    if not side_by_side:
        return [net(batch) for batch in batches]
    outputs = net(nd.concat(*batches, dim=0))
    parts = [nd.split(output, num_outputs=len(batches), axis=0)
             for output in (outputs if isinstance(outputs, tuple | list) else [outputs])]
    return [*zip(*parts, strict=True)] if len(parts) > 1 else parts[0]


def batch_losses(row: VaeGan, networks: VaeGanNetworks, x: NDArray, noise: Callable,
                 scale: float) -> Losses:
    """Return all losses of a batch x (b, c, h, w), from one pass.

    noise(which, width): standard normal noise (b, width).
    """
    vae = networks.vae
    mean, logvar = vae.split(nd, vae.encoder(x))                        # (b, z)
    x_hat, sample = _through(vae.decoder, [                             # (b, c, h, w)
        vae.latent(nd, mean, logvar, noise(FOR_RECONSTRUCTION, row.n_latent)),
        noise(FOR_SAMPLE, row.n_latent)], networks.one_by_one['decoder'])
    return Losses(scale * kl_divergence(mean, logvar).sum(), *discriminator_terms(
        row, networks.feature_disc, [x, x_hat, sample], noise, scale,
        row.disc_batches == 'together' or networks.one_by_one['disc']))


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
