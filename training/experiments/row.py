"""What a row of the registry may say. Plain data, standard library only.

A row is one flat record; groups.py has its fields, with their meanings and bounds.
"""
from dataclasses import Field, dataclass, fields
from functools import cache
from typing import ClassVar

from training.experiments import kinds
from training.experiments.fields import ExperimentError, check
from training.experiments.groups import (
    COMBO_STEPS,
    Balance,
    ConvVariants,
    Data,
    LayerVariants,
    Nets,
    Optimizers,
    Pictures,
    PixelObjective,
    SimilarityObjective,
    SoloCombo,
)

__all__ = ['Experiment', 'ExperimentError', 'Row', 'VaeGan']


@dataclass(frozen=True, kw_only=True)
class Row:
    """What rows of all kinds have in common: a name, checks, and what identifies a training."""
    name: str

    def __post_init__(self) -> None:
        check(self)
        self._check_together()  # values that are allowed, but not beside each other

    @property
    def epochs(self) -> int:
        return sum(getattr(self, phase.epochs_field) for phase in self.kind.phases)

    @property
    def nets(self) -> str:
        """The VAE's name, and with the discriminator's if there is one."""
        return ' + '.join(filter(None, (self.vae, self.disc)))

    def configuration(self) -> dict:
        """Return all fields but the name: rows with equal ones train the same thing."""
        return {k: v for k, v in vars(self).items() if k != 'name'}

    def recorded(self) -> dict:
        """Return the configuration as records of runs have it: without late fields at default."""
        configuration = self.configuration()
        return {name: configuration[name] for name, one in self.fields().items()
                if not one.metadata['late'] or configuration[name] != one.default}

    @classmethod
    @cache
    def fields(cls) -> dict[str, Field]:
        """Return the fields of a configuration by name."""
        return {one.name: one for one in fields(cls) if one.name != 'name'}

    @classmethod
    def of_pictures(cls) -> set[str]:
        """Return the fields that change pictures only, and so are no part of a run's name."""
        return {one.name for one in fields(Pictures)} & cls.fields().keys()

    def idle(self) -> dict[str, str]:
        """Return the fields that change nothing in a row like this, and why."""
        return {}

    def refuse(self, field: str, expected: str) -> None:
        """Raise ExperimentError for a field's value."""
        raise ExperimentError(f'{field}={getattr(self, field)!r}: expected {expected}')


# The first base's fields come last: names of runs show them in this order
@dataclass(frozen=True, kw_only=True)
class Experiment(ConvVariants, SoloCombo, PixelObjective, Nets, Data, Row):
    """A VAE on a pixel-by-pixel loss, alone or against a discriminator; or a plain GAN."""
    STEPS: ClassVar[tuple[str, ...]] = COMBO_STEPS
    optimizer: ClassVar[str] = 'adam'
    adam_beta1: ClassVar[float] = 0.9
    adam_beta2: ClassVar[float] = 0.999
    n_classified: ClassVar[int] = 0

    @property
    def encodes(self) -> bool:
        """Whether there is an encoder: not in a plain GAN, which has no pixels to compare."""
        return self.pixel_loss is not None

    @property
    def kind(self) -> kinds.Kind:
        """The kind of training."""
        return kinds.SOLO_COMBO if self.encodes else kinds.GAN

    def idle(self) -> dict[str, str]:
        of_combo = ('disc_weight', 'disc_warmup', 'pbp_weight', 'pbp_decay', 'max_disc_loss',
                    'decay_interval', 'step')
        if not self.encodes:
            return dict.fromkeys(('kl_weight', 'kl_warmup', 'stop_after', 'keep', *of_combo),
                                 'a plain GAN has one loss, none held out, and one kind of step')
        reasons = {} if self.kl_weight else {'kl_warmup': 'kl_weight is 0'}
        if self.stop_after:
            reasons['keep'] = 'stop_after keeps the best epoch, too'
        if not self.combo_epochs:
            return reasons | dict.fromkeys(('disc', *of_combo), 'there are no combo epochs')
        if self.pbp_decay == 1:
            reasons['decay_interval'] = 'pbp_decay is 1'
        if not self.disc_weight:
            reasons['disc_warmup'] = 'disc_weight is 0'
        return reasons

    def _check_together(self) -> None:
        if self.combo_epochs and not self.disc:
            self.refuse('combo_epochs', '0, for this row has no discriminator')
        if not self.encodes and self.solo_epochs:
            self.refuse('solo_epochs', '0, or a pixel_loss (bce, l2), for a plain GAN has no VAE '
                        'to train alone')
        if not self.encodes and not self.disc:
            self.refuse('disc', 'a discriminator, for a plain GAN is nothing without one')
        if self.epochs < 1:
            self.refuse('solo_epochs', 'at least one epoch, solo or combo')


@dataclass(frozen=True, kw_only=True)
class VaeGan(ConvVariants, Pictures, Balance, LayerVariants, Optimizers, SimilarityObjective, Nets,
             Data, Row):
    """A VAE/GAN: in place of pixels, features of the discriminator are compared.

    Encoder: KL / kl_normaliser + beta * similarity. Decoder: gamma * similarity + disc_weight *
    GAN term. Discriminator: cross entropy of real images and fakes. Larsen et al. (2016).
    """
    STEPS: ClassVar[tuple[str, ...]] = ('vaegan',)
    encodes: ClassVar[bool] = True
    step: ClassVar[str] = 'vaegan'
    solo_epochs: ClassVar[int] = 0

    @property
    def kind(self) -> kinds.Kind:
        """The kind of training."""
        return kinds.VAEGAN

    @property
    def rates_follow_losses(self) -> bool:
        """Whether the nets' learning rates go by their losses on held-out images."""
        return self.schedule not in ('constant', 'annealed')

    def idle(self) -> dict[str, str]:
        reasons = {}
        if self.optimizer != 'adam':
            reasons = dict.fromkeys(('adam_beta1', 'adam_beta2'), f'{self.optimizer} has none')
        if self.equilibrium is None:
            reasons['margin'] = 'there is no equilibrium'
        if not self.rates_follow_losses:
            reasons['schedule_rule'] = f'the learning rates are {self.schedule}'
        if not self.minibatch_kernels:
            reasons['minibatch_dims'] = 'there are no minibatch kernels'
        if self.disc_trained == 'no':
            labels = ('real_low', 'real_high', 'fake_low', 'fake_high', 'flips')
            reasons |= dict.fromkeys(labels, 'the discriminator is not trained')
        return reasons

    def _check_together(self) -> None:
        if not self.disc:
            self.refuse('disc', 'a discriminator, for its features are compared')
        if self.combo_epochs < 1:
            self.refuse('combo_epochs', 'at least one epoch')
        for kind in ('real', 'fake'):
            if getattr(self, f'{kind}_low') > getattr(self, f'{kind}_high'):
                self.refuse(f'{kind}_low', f'at most {kind}_high')
        if self.rates_follow_losses and not self.n_validation:
            self.refuse('n_validation', f'some images, for schedule {self.schedule} goes by '
                        'losses on them')
        if self.disc_batches == 'together' and self.similarity_pass == 'same':
            self.refuse('similarity_pass', 'own where batches are together, or samples would '
                        'have a part in the similarity')
        if self.routing == 'accumulated' and self.equilibrium is not None:
            self.refuse('routing', 'separate, where an equilibrium decides who steps')
        if self.disc_trained == 'no' and self.routing == 'accumulated':
            self.refuse('routing', 'separate, where the discriminator is not trained')
        if self.disc_trained == 'no' and self.equilibrium is not None:
            self.refuse('equilibrium', 'none, where the discriminator is not trained')
