"""What a row of the registry may say. Plain data, standard library only."""
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

CHOICES = {  # none is for fields that may be none
    'vae': ('DenseVAE', 'ConvVAE', 'DeepConvVAE', 'ConvDecoder', 'VAE_A', 'VAE_B', 'VAE_paper'),
    'pixel_loss': ('bce', 'l2'),
    'layout': ('reshape', 'transpose'),
    'encoder': ('published', 'strided'),
    'latent_head': ('published', 'linear'),
    'likelihood': ('gaussian', 'mean_square'),
    'kl_normaliser': ('images', 'latents', 'pixels'),
    'gan_term': ('non-saturating', 'saturating'),
    'fakes': ('both', 'reconstructions', 'samples'),
    'routing': ('separate', 'accumulated'),
    'similarity_pass': ('same', 'own'),
    'disc_batches': ('apart', 'together'),
    'norm': ('before', 'after'),
    'pixels': ('unit', 'signed'),
    'optimizer': ('adam', 'rmsprop'),
    'schedule': ('constant', 'lr2', 'lr3', 'lr4'),
    'schedule_rule': ('documented', 'as_logged'),
}
MOST = {  # beyond these nothing can be meant, and a machine would hang
    'n_hlayers': 100, 'disc_hlayers': 100, 'solo_epochs': 10 ** 6, 'combo_epochs': 10 ** 6,
    'decay_interval': 10 ** 6,
    'n_latent': 2 ** 20, 'n_hnodes': 2 ** 20, 'disc_hnodes': 2 ** 20, 'batch_size': 2 ** 20,
    'vae_base_channels': 2 ** 16, 'disc_base_channels': 2 ** 16, 'limit': 2 ** 31 - 1,
    'seed': 2 ** 31 - 1, 'shuffle_seed': 2 ** 31 - 1, 'n_validation': 2 ** 31 - 1,
    'n_classified': 10 ** 6,
    'minibatch_kernels': 2 ** 10, 'minibatch_dims': 2 ** 10, 'grid_side': 32,
    'grid_from': 10 ** 6, 'grid_every': 10 ** 6,
    'adam_beta1': 0.9999, 'adam_beta2': 0.999999, 'slope': 1,
    'real_low': 1, 'real_high': 1, 'fake_low': 1, 'fake_high': 1, 'flips': 1, 'dropout': 0.99}
POSITIVE = ('n_latent', 'n_hlayers', 'n_hnodes', 'vae_base_channels', 'disc_hlayers',
            'disc_hnodes', 'disc_base_channels', 'lr', 'batch_size', 'limit', 'decay_interval',
            'minibatch_dims', 'grid_side', 'grid_from', 'grid_every', 'equilibrium', 'margin')
NOT_NEGATIVE = ('solo_epochs', 'combo_epochs', 'disc_weight', 'pbp_weight', 'pbp_decay',
                'max_disc_loss', 'seed', 'shuffle_seed', 'gamma', 'beta', 'flips', 'dropout',
                'real_low', 'real_high', 'fake_low', 'fake_high', 'minibatch_kernels',
                'n_validation', 'n_classified', 'adam_beta1', 'adam_beta2', 'slope')


class ExperimentError(ValueError):
    """A name, field or value that the registry does not know; the message is for the user."""


@dataclass(frozen=True)
class Experiment:
    """One experiment: everything that decides what is trained, and nothing else.

    Epochs are passes over the training images; `lr` is Adam's step size; weights multiply
    losses that are summed over pixels and averaged over images.
    """
    name: str                            # published id
    data: str                            # a data set's name
    vae: str                             # a name of models.VAES
    n_latent: int
    n_hlayers: int | None = None         # dense nets: hidden layers, and nodes in each
    n_hnodes: int | None = None
    vae_base_channels: int | None = None
    disc: str | None = None              # a name of models.DISCRIMINATORS, or gluoncv:<net>
    disc_hlayers: int | None = None
    disc_hnodes: int | None = None
    disc_base_channels: int | None = None
    pixel_loss: str | None = 'bce'       # bce | l2; none for the plain GAN
    solo_epochs: int = 0                 # VAE alone
    combo_epochs: int = 0                # VAE + discriminator (plain GAN: all of them)
    lr: float = 1e-3
    disc_weight: float = 1.0             # of the adversarial term, in combo epochs
    pbp_weight: float = 1.0              # of the pixel-by-pixel term, in combo epochs
    pbp_decay: float = 1.0               # times pbp_weight after every 25th epoch, if combo
    decay_interval: int = 25             # that 25; epochs count over solo and combo
    max_disc_loss: float = 999.0         # gate of the adversarial term; 999: never active
    shuffle_seed: int | None = 0         # of the anime split; none: files in name order
    step: str = 'published'              # published | shared
    layout: str = 'reshape'              # height x width x channel to channel-first
    batch_size: int = 64
    encoder: str = 'published'           # of ConvVAE: convolutions of stride 1 | strided
    latent_head: str = 'published'       # of ConvVAE: BatchNorm and relu at its end | linear
    limit: int | None = None             # first N training images; none: all
    seed: int = 0                        # of weights, batch order and noise
    STEPS: ClassVar[tuple[str, ...]] = ('published', 'shared')

    def __post_init__(self) -> None:
        self._check_types()
        self._check_ranges()
        self._check_phases()

    @property
    def epochs(self) -> int:
        return self.solo_epochs + self.combo_epochs

    @property
    def encodes(self) -> bool:
        """Whether there is an encoder: not in a plain GAN."""
        return self.vae != 'ConvDecoder'

    @property
    def kind_of_combo(self) -> str:
        """The phase of the epochs with a discriminator."""
        return 'combo' if self.encodes else 'gan'

    def configuration(self) -> dict:
        """All fields but the name: rows with equal configurations train the same thing."""
        return {k: v for k, v in asdict(self).items() if k != 'name'}

    @classmethod
    def types(cls) -> dict[str, tuple[type, bool]]:
        """Of each field but the name: int, float or str, and whether it may be none."""
        found = {}
        for field in fields(cls):
            kinds = getattr(field.type, '__args__', (field.type,))
            found[field.name] = kinds[0], type(None) in kinds
        del found['name']
        return found

    def idle(self) -> dict[str, str]:
        """Fields that change nothing in a row like this, and why."""
        of_combo = 'disc_weight', 'pbp_weight', 'pbp_decay', 'max_disc_loss'
        if not self.combo_epochs:
            return dict.fromkeys(('disc', *of_combo), 'there are no combo epochs')
        return {} if self.encodes else dict.fromkeys(of_combo, 'a plain GAN has one loss')

    def check_changes(self, changed: Iterable[str]) -> None:
        """ExperimentError for a changed field that would show in a name and do nothing."""
        for field in self.idle().keys() & set(changed):
            if getattr(self, field) is not None:
                self.refuse(field, f'no change, for {self.idle()[field]}')

    def refuse(self, field: str, expected: str) -> None:
        """Raise ExperimentError for a field's value."""
        raise ExperimentError(f'{field}={getattr(self, field)!r}: expected {expected}')

    def _check_types(self) -> None:
        for field, (kind, may_be_none) in self.types().items():
            value = getattr(self, field)
            right = may_be_none if value is None else (
                type(value) is kind or kind is float and type(value) is int)
            if not right:
                self.refuse(field, kind.__name__)

    def _check_ranges(self) -> None:
        choices = CHOICES | {'step': self.STEPS}
        for field in self.types():
            value = getattr(self, field)
            if field in choices and value is not None and value not in choices[field]:
                self.refuse(field, 'one of ' + ', '.join(choices[field]))
            if field not in POSITIVE + NOT_NEGATIVE or value is None:
                continue
            if value > MOST.get(field, math.inf):
                self.refuse(field, f'at most {MOST[field]}')
            if not value < math.inf or value < 0 or (value == 0 and field in POSITIVE):
                self.refuse(field, 'a finite number '
                            + ('above 0' if field in POSITIVE else 'not below 0'))

    def _check_phases(self) -> None:
        if self.pixel_loss is None and self.encodes:
            self.refuse('pixel_loss', 'one of ' + ', '.join(CHOICES['pixel_loss']))
        if self.combo_epochs and not self.disc:
            self.refuse('combo_epochs', '0, for this row has no discriminator')
        if not self.encodes and self.solo_epochs:
            self.refuse('solo_epochs', '0, for a plain GAN has no VAE to train alone')
        if not self.encodes and not self.disc:
            self.refuse('disc', 'a discriminator, for a plain GAN is nothing without one')
        if self.epochs < 1:
            self.refuse('solo_epochs', 'at least one epoch, solo or combo')


@dataclass(frozen=True)
class VaeGan(Experiment):
    """A VAE/GAN: in place of pixels, features of the discriminator are compared.

    Encoder: KL / kl_normaliser + beta * similarity. Decoder: gamma * similarity + disc_weight *
    GAN term. Discriminator: cross entropy of real images and fakes. Larsen et al. (2016).
    """
    step: str = 'vaegan'
    pixel_loss: str | None = None
    similarity: str = 'act2'             # layer of the discriminator, or 'logit'
    likelihood: str = 'gaussian'         # with its constant, sum of features | mean_square
    beta: float = 1.0                    # weight of the similarity in the encoder's loss
    gamma: float = 1e-6                  # in the decoder's
    kl_normaliser: str = 'images'        # KL's mean over images | also latents | also pixels
    gan_term: str = 'non-saturating'     # of the decoder | saturating
    fakes: str = 'both'                  # that the discriminator sees: reconstructions, samples
    routing: str = 'separate'            # a gradient a net | accumulated over nets, as B's
    disc_batches: str = 'apart'          # real images and fakes, for BatchNorm | together
    similarity_pass: str = 'same'        # features from the judging pass | from their own
    optimizer: str = 'adam'              # | rmsprop
    adam_beta1: float = 0.9              # Adam's decay rates, of its mean and its variance
    adam_beta2: float = 0.999
    pixels: str = 'unit'                 # nets see images in [0, 1] (sigmoid) | [-1, 1] (tanh)
    slope: float = 0.2                   # of LeakyReLU below 0
    norm: str = 'before'                 # BatchNorm before | after the activation
    dropout: float = 0.0
    minibatch_kernels: int = 0           # of minibatch discrimination; 0: without
    minibatch_dims: int = 5              # of each kernel
    real_low: float = 1.0                # the discriminator's labels: uniform between
    real_high: float = 1.0
    fake_low: float = 0.0
    fake_high: float = 0.0
    flips: float = 0.0                   # share of labels that are swapped
    equilibrium: float | None = None     # of the discriminator's terms; none: all nets step
    margin: float = 0.35                 # around it, outside of which one of two nets waits
    n_validation: int = 0                # held-out images behind the nets' own losses
    schedule: str = 'constant'           # of the learning rates | lr2 | lr3 | lr4
    schedule_rule: str = 'documented'    # | as_logged
    n_classified: int = 0                # samples whose classes are counted then; 0: none
    grid_side: int = 4                   # pictures of samples: side x side of them,
    grid_from: int = 5                   # first after that epoch, from 1,
    grid_every: int = 15                 # then after every so many
    STEPS: ClassVar[tuple[str, ...]] = ('vaegan',)

    @property
    def kind_of_combo(self) -> str:
        return 'vaegan'

    def idle(self) -> dict[str, str]:
        reasons = {}
        if self.optimizer != 'adam':
            reasons = dict.fromkeys(('adam_beta1', 'adam_beta2'), f'{self.optimizer} has none')
        if self.equilibrium is None:
            reasons['margin'] = 'there is no equilibrium'
        if self.schedule == 'constant':
            reasons['schedule_rule'] = 'the learning rates are constant'
        if not self.minibatch_kernels:
            reasons['minibatch_dims'] = 'there are no minibatch kernels'
        return reasons

    def _check_phases(self) -> None:
        if not self.encodes:
            self.refuse('vae', 'a net with an encoder')
        if not self.disc:
            self.refuse('disc', 'a discriminator, for its features are compared')
        for field in ('pixel_loss', 'solo_epochs', 'pbp_weight', 'pbp_decay', 'max_disc_loss'):
            default = {f.name: f.default for f in fields(VaeGan)}[field]
            if getattr(self, field) != default:
                self.refuse(field, f'{default}, for a VAE/GAN has no such term')
        if self.combo_epochs < 1:
            self.refuse('combo_epochs', 'at least one epoch')
        for kind in ('real', 'fake'):
            if getattr(self, f'{kind}_low') > getattr(self, f'{kind}_high'):
                self.refuse(f'{kind}_low', f'at most {kind}_high')
        if self.schedule != 'constant' and not self.n_validation:
            self.refuse('n_validation', f'some images, for schedule {self.schedule} goes by '
                        'losses on them')
        if self.n_classified and self.data != 'MNIST':
            self.refuse('n_classified', '0, for only MNIST has classes')
        if self.disc_batches == 'together' and self.similarity_pass == 'same':
            self.refuse('similarity_pass', 'own where batches are together, or samples would '
                        'have a part in the similarity')
        if self.routing == 'accumulated' and self.equilibrium is not None:
            self.refuse('routing', 'separate, where an equilibrium decides who steps')
