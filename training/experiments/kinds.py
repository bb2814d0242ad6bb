"""The kinds of training: their phases, and what the statistics of their epochs hold.

Said here once for solo and combo epochs, the plain GAN and VAE/GANs. What a batch of a phase
does is in training/steps/phases.py, by the phase's name.
"""
from dataclasses import dataclass
from functools import cached_property

_VAL_LOSS = '`val_loss` is KL + pixel loss on the first {n_held_out} held-out images.'


@dataclass(frozen=True)
class Phase:
    """Epochs of one kind: their name, the row's field that counts them, their step's terms."""
    name: str
    epochs_field: str
    terms: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """How a loss is called, and the digits it is shown with."""
    label: str
    digits: int


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of training.

    terms: of all phases. watched: what is measured or set once an epoch; runs from before one of
    these columns came lack it. losses: the columns that stand beside published ones. shown: the
    columns of a run's README. explained: below that table. digits: of the other columns.
    section: how runs on a data set are called on the page.
    """
    name: str
    phases: tuple[Phase, ...]
    terms: tuple[str, ...]
    watched: tuple[str, ...]
    losses: dict[str, Loss]
    shown: tuple[str, ...]
    explained: str
    digits: int
    section: str = '{}'

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of training_statistics.csv."""
        return 'epoch', 'phase', *self.terms, *self.watched, 'seconds'

    @cached_property
    def always(self) -> list[str]:
        """The losses that every epoch has."""
        return [loss for loss in self.losses if all(loss in phase.terms for phase in self.phases)]

    def digits_of(self, column: str, otherwise: int | None = None) -> int:
        """Return how many digits a column is shown with; `otherwise`: those of no loss."""
        if column in self.losses:
            return self.losses[column].digits
        return self.digits if otherwise is None else otherwise


_SOLO = Phase('solo', 'solo_epochs', ('vae_loss', 'kl', 'pixel'))
_COMBO = Phase('combo', 'combo_epochs', (
    'vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial', 'disc_real_accuracy',
    'disc_fake_accuracy'))
_GAN = Phase('gan', 'combo_epochs', (
    'vae_loss', 'disc_loss', 'adversarial', 'disc_real_accuracy', 'disc_fake_accuracy'))
_VAEGAN = Phase('vaegan', 'combo_epochs', (
    'enc_loss', 'dec_loss', 'disc_loss', 'kl', 'similarity', 'gan', 'disc_real_accuracy',
    'disc_fake_accuracy'))
NETS = {'enc': 'encoder', 'dec': 'decoder', 'disc': 'discriminator'}  # of a VAE/GAN

SOLO_COMBO = Kind(
    'solo and combo epochs', (_SOLO, _COMBO), _COMBO.terms,
    ('val_loss', 'weight_kl', 'weight_pixel', 'weight_adversarial'),
    {'vae_loss': Loss('VAE loss', 2), 'disc_loss': Loss('disc loss', 4)},
    ('vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial', 'val_loss', 'seconds'),
    '`vae_loss` = kl + pbp_weight * pixel + disc_weight * adversarial; the terms themselves are '
    f'unweighted. {_VAL_LOSS}', 2)
GAN = Kind(
    'plain GAN', (_GAN,), _COMBO.terms, ('val_loss',),
    {'vae_loss': Loss('generator loss', 2), 'disc_loss': Loss('disc loss', 4)},
    SOLO_COMBO.shown, SOLO_COMBO.explained, 2)
VAEGAN = Kind(
    'VAE/GAN', (_VAEGAN,), _VAEGAN.terms,
    tuple(f'val_{net}_loss' for net in NETS) + tuple(f'{net}_lr' for net in NETS),
    {'enc_loss': Loss('encoder loss', 4), 'dec_loss': Loss('decoder loss', 4),
     'disc_loss': Loss('disc loss', 4)},
    ('enc_loss', 'dec_loss', 'disc_loss', 'kl', 'similarity', 'gan', 'val_enc_loss',
     'val_dec_loss', 'val_disc_loss', 'seconds'),
    '`enc_loss` = kl / normaliser + beta * similarity, `dec_loss` = gamma * similarity + '
    'disc_weight * gan, each as the configuration has it; the terms themselves are unweighted. '
    '`val_..`: the same on held-out images, where the row asks for that, without dropout and with '
    'labels 1 and 0. Learning rates in the table are those that an epoch was trained with.', 4,
    'VAE/GANs on {}')
KINDS = (SOLO_COMBO, GAN, VAEGAN)


def of_phase(name: str | None) -> Kind | None:
    """Return the kind of training that has epochs of that name, if there is one.

    Of an epoch that diverged too: 'combo, diverged'.
    """
    name = (name or '').partition(',')[0]
    return next((kind for kind in KINDS for phase in kind.phases if phase.name == name), None)
