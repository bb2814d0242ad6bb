"""The fields of rows in groups: the data, the nets, what is minimised, how, which pictures.

Each field stands with its meaning and bounds; a row (row.py) joins groups to one flat record.
"""
from dataclasses import dataclass

from training.experiments.fields import (
    MOST_CHANNELS,
    MOST_EPOCHS,
    MOST_INDEX,
    count,
    setting,
    share,
)

COMBO_STEPS = 'published', 'shared'  # kinds of combo step


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images a run sees, and how."""
    data: str = setting('name of a data set')
    image_size: int | None = setting('pixels a side of faces; none: 64', None,
                                     choices=(32, 64, 128))
    layout: str = setting('how height x width x channel images become channel-first', 'reshape',
                          choices=('reshape', 'transpose'))
    shuffle_seed: int | None = setting('seed of the split; none: files in name order', 0, least=0,
                                       most=MOST_INDEX)
    held_out: float | None = setting('share of faces that is held out; none: as published', None,
                                     above=0, most=0.99, late=True)
    limit: int | None = count('first N training images; none: all', None, MOST_INDEX)
    mirror: str = setting('train on the mirror images of training images, too', 'no',
                          choices=('no', 'yes'))
    images: str | None = setting('beginning of the checksum of other images than those of the '
                                 'shown results; the data say it', None)


@dataclass(frozen=True, kw_only=True)
class Nets:
    """Which nets are trained, and how large they are."""
    vae: str = setting('name of a VAE, or of a decoder alone')
    n_latent: int = count('latents')
    n_hlayers: int | None = count('hidden layers of a dense VAE', None, 100)
    n_hnodes: int | None = count("nodes in each of the VAE's hidden layers", None)
    vae_base_channels: int | None = count("channels of the VAE's first convolution", None,
                                          MOST_CHANNELS)
    disc: str | None = setting('name of a discriminator, or gluoncv:<net>', None)
    disc_hlayers: int | None = count("the discriminator's hidden layers", None, 100)
    disc_hnodes: int | None = count("nodes in each of the discriminator's hidden layers", None)
    disc_base_channels: int | None = count("channels of the discriminator's first convolution",
                                           None, MOST_CHANNELS)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What every kind of training with a discriminator weighs."""
    disc_weight: float = setting('weight of the adversarial term in the loss of VAE or decoder',
                                 1.0, least=0)


@dataclass(frozen=True, kw_only=True)
class PixelObjective(Objective):
    """What a VAE and a plain GAN minimise; losses are summed over pixels."""
    pixel_loss: str | None = setting('pixel-by-pixel loss; none for a plain GAN', 'bce',
                                     choices=('bce', 'l2'))
    pbp_weight: float = setting('weight of the pixel-by-pixel loss in combo epochs', 1.0, least=0)
    pbp_decay: float = setting('factor of pbp_weight after every interval of combo epochs', 1.0,
                               least=0)
    decay_interval: int = count('that interval; epochs count over solo and combo', 25, MOST_EPOCHS)
    max_disc_loss: float = setting('the adversarial term is off for an epoch after a '
                                   'discriminator loss above this; 999: never', 999.0, least=0)
    disc_warmup: int = setting('combo epochs over which disc_weight grows evenly to that; 0: it '
                               'is that at once', 0, least=0, most=MOST_EPOCHS, late=True)
    kl_weight: float = setting("weight of KL in the VAE's loss, the beta of a beta-VAE", 1.0,
                               least=0)
    kl_warmup: int = setting('epochs over which it grows evenly to that; 0: it is that at once', 0,
                             least=0, most=MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class SimilarityObjective(Objective):
    """What a VAE/GAN minimises: features of the discriminator are compared in place of pixels."""
    similarity: str = setting("layer of the discriminator, or 'logit'", 'act2')
    likelihood: str = setting('gaussian: with its constant, sum over features', 'gaussian',
                              choices=('gaussian', 'mean_square'))
    beta: float = setting("weight of the similarity in the encoder's loss", 1.0, least=0)
    gamma: float = setting("weight of the similarity in the decoder's loss", 1e-6, least=0)
    kl_normaliser: str = setting('KL is a mean over these', 'images',
                                 choices=('images', 'latents', 'pixels'))
    gan_term: str = setting("the decoder's adversarial term", 'non-saturating',
                            choices=('non-saturating', 'saturating'))
    fakes: str = setting('what the discriminator sees beside real images', 'both',
                         choices=('both', 'reconstructions', 'samples'))
    routing: str = setting('separate: a gradient a net; accumulated over nets, as in system B',
                           'separate', choices=('separate', 'accumulated'))
    disc_batches: str = setting('real images and fakes, for BatchNorm', 'apart',
                                choices=('apart', 'together'))
    similarity_pass: str = setting('features from the pass that is judged, or from one of their '
                                   'own', 'same', choices=('same', 'own'))


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How nets are trained: epochs are passes over the training images."""
    combo_epochs: int = setting('epochs of VAE and discriminator (of a plain GAN: all)', 0,
                                least=0, most=MOST_EPOCHS)
    lr: float = setting('step size', 1e-3, above=0)
    batch_size: int = count('images in a batch', 64)
    seed: int = setting('of weights, batch order and noise', 0, least=0, most=MOST_INDEX)
    initial: str | None = setting("beginning of the checksum of another run's parameters, with "
                                  'which this one begins; `--from` says it', None)


@dataclass(frozen=True, kw_only=True)
class SoloCombo(Optimisation):
    """Epochs of the VAE alone, then of both; Adam."""
    solo_epochs: int = setting('epochs of the VAE alone', 0, least=0, most=MOST_EPOCHS)
    stop_after: int | None = count('stop after so many epochs without a new low of the held-out '
                                   "loss, and keep the lowest one's parameters; none: train all",
                                   None, MOST_EPOCHS)
    keep: str | None = setting('best: train all epochs, and keep the parameters of that of the '
                               'lowest held-out loss; none: of the last one, or as stop_after '
                               'says', None, choices=('best',), late=True)
    step: str = setting('combo step: three latents of an image, or one', 'published',
                        choices=COMBO_STEPS)


@dataclass(frozen=True, kw_only=True)
class Optimizers(Optimisation):
    """Three nets that train at once, each with an optimizer of its own."""
    optimizer: str = setting('of all three nets', 'adam', choices=('adam', 'rmsprop'))
    adam_beta1: float = share("decay rate of Adam's mean", 0.9, 0.9999)
    adam_beta2: float = share("decay rate of Adam's variance", 0.999, 0.999999)
    disc_trained: str = setting('no: the discriminator stays as it was drawn, features and all',
                                'yes', choices=('yes', 'no'))


@dataclass(frozen=True, kw_only=True)
class ConvVariants:
    """What a ConvVAE may have in place of the published layers."""
    encoder: str = setting('convolutions of stride 1, or strided', 'published',
                           choices=('published', 'strided'))
    latent_head: str = setting('BatchNorm and relu at its end, or linear', 'published',
                               choices=('published', 'linear'))


@dataclass(frozen=True, kw_only=True)
class LayerVariants:
    """What the layers of a VAE/GAN's nets are."""
    pixels: str = setting('nets see images in [0, 1] (sigmoid), or signed in [-1, 1] (tanh)',
                          'unit', choices=('unit', 'signed'))
    slope: float = share('of LeakyReLU below 0', 0.2)
    norm: str = setting('BatchNorm before or after the activation', 'before',
                        choices=('before', 'after'))
    dropout: float = share('share of features that dropout removes', 0.0, 0.99)
    minibatch_kernels: int = setting('kernels of minibatch discrimination; 0: without', 0, least=0,
                                     most=2 ** 10)
    minibatch_dims: int = count('dimensions of each kernel', 5, 2 ** 10)
    norm_momentum: float = share("of BatchNorm's running statistics: what stays of them", 0.9,
                                 0.9999, late=True)
    norm_epsilon: float = setting('of BatchNorm: what is added to a variance', 1e-5,
                                  least=1e-5, most=1, late=True)
    weights: str = setting("initial ones: Xavier's, or normal with a standard deviation of 0.02",
                           'xavier', choices=('xavier', 'normal'), late=True)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What keeps three nets from leaving each other behind: labels, who steps, learning rates."""
    real_low: float = share("the discriminator's labels of real images: uniform from here", 1.0)
    real_high: float = share('to here', 1.0)
    fake_low: float = share('its labels of fakes: uniform from here', 0.0)
    fake_high: float = share('to here', 0.0)
    flips: float = share('share of labels that are swapped', 0.0)
    equilibrium: float | None = setting("of the discriminator's terms; none: all nets step", None,
                                        above=0)
    margin: float = setting('around it, outside of which one of two nets waits', 0.35, above=0)
    n_validation: int = setting("held-out images behind the nets' own losses", 0, least=0,
                                most=MOST_INDEX)
    schedule: str = setting('of the learning rates', 'constant',
                            choices=('constant', 'lr2', 'lr3', 'lr4', 'annealed'))
    schedule_rule: str = setting('as its README says, or as its logs show', 'documented',
                                 choices=('documented', 'as_logged'))


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Which pictures of samples are kept while a run trains; they change nothing else."""
    n_classified: int = setting('samples whose classes are counted then; 0: none', 0, least=0,
                                most=MOST_EPOCHS)
    grid_side: int = count('pictures of samples: side x side of them', 4, 32)
    grid_from: int = count('first after that many epochs', 5, MOST_EPOCHS)
    grid_every: int = count('then after every so many', 15, MOST_EPOCHS)
