"""The registry: one frozen row per published experiment. Plain data, standard library only.

An experiment's name is its published folder, `<Model>_on_<data>/<hparams>`. Some published
names mislead (`1024_32_64_200_10_1` is 100 solo + 100 combo epochs), so the name is only an
id: what is trained is what the fields say. Published numbers are in results/published.csv.

Source: github.com/xuganyu96/VAE-GAN-learnable-loss, commit bb30d9f (2019).
"""
import math
import re
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

DATASETS = ('MNIST', 'anime', 'sketch_digits', 'sketch_faces')
CHOICES = {
    'data': DATASETS,
    'vae': ('DenseVAE', 'ConvVAE', 'DeepConvVAE', 'ConvDecoder'),
    'pixel_loss': ('bce', 'l2'),
    'step': ('published', 'shared'),
    'layout': ('reshape', 'transpose'),
}
MOST = {  # beyond these nothing can be meant, and a machine would hang
    'n_hlayers': 100, 'disc_hlayers': 100, 'solo_epochs': 10 ** 6, 'combo_epochs': 10 ** 6,
    'decay_interval': 10 ** 6,
    'n_latent': 2 ** 20, 'n_hnodes': 2 ** 20, 'disc_hnodes': 2 ** 20, 'batch_size': 2 ** 20,
    'vae_base_channels': 2 ** 16, 'disc_base_channels': 2 ** 16, 'limit': 2 ** 31 - 1,
    'seed': 2 ** 31 - 1, 'shuffle_seed': 2 ** 31 - 1}
POSITIVE = ('n_latent', 'n_hlayers', 'n_hnodes', 'vae_base_channels', 'disc_hlayers',
            'disc_hnodes', 'disc_base_channels', 'lr', 'batch_size', 'limit', 'decay_interval')
NOT_NEGATIVE = ('solo_epochs', 'combo_epochs', 'disc_weight', 'pbp_weight', 'pbp_decay',
                'max_disc_loss', 'seed', 'shuffle_seed')


class ExperimentError(ValueError):
    """A name, field or value that the registry does not know; the message is for the user."""


@dataclass(frozen=True)
class Experiment:
    """One experiment: everything that decides what is trained, and nothing else.

    Epochs are passes over the training images; `lr` is Adam's step size; weights multiply
    losses that are summed over pixels and averaged over images.
    """
    name: str                            # published id
    data: str                            # a name of DATASETS
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
    limit: int | None = None             # first N training images; none: all
    seed: int = 0                        # of weights, batch order and noise

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def epochs(self) -> int:
        return self.solo_epochs + self.combo_epochs

    def configuration(self) -> dict:
        """All fields but the name: rows with equal configurations train the same thing."""
        return {k: v for k, v in asdict(self).items() if k != 'name'}


def _validate(row: Experiment) -> None:
    def refuse(field: str, expected: str) -> None:
        raise ExperimentError(f'{field}={getattr(row, field)!r}: expected {expected}')

    for field, known in CHOICES.items():
        value = getattr(row, field)
        if value not in known and not (value is None and field == 'pixel_loss'
                                       and row.vae == 'ConvDecoder'):
            refuse(field, 'one of ' + ', '.join(known))
    for field in POSITIVE + NOT_NEGATIVE:
        value = getattr(row, field)
        if value is None:
            continue
        if value > MOST.get(field, math.inf):
            refuse(field, f'at most {MOST[field]}')
        if not value < math.inf or value < 0 or (value == 0 and field in POSITIVE):
            refuse(field, 'a finite number '
                   + ('above 0' if field in POSITIVE else 'not below 0'))
    if row.combo_epochs and not row.disc:
        refuse('combo_epochs', '0, for this row has no discriminator')
    if row.vae == 'ConvDecoder' and row.solo_epochs:
        refuse('solo_epochs', '0, for a plain GAN has no VAE to train alone')
    if row.vae == 'ConvDecoder' and not row.disc:
        refuse('disc', 'a discriminator, for a plain GAN is nothing without one')
    if row.epochs < 1:
        refuse('solo_epochs', 'at least one epoch, solo or combo')


# The families: what the rows of one pair of nets share.
_MNIST = Experiment('', 'MNIST', 'DenseVAE', 5, n_hlayers=3, n_hnodes=400, solo_epochs=50)
_DENSE = Experiment('', 'anime', 'DenseVAE', 512, n_hlayers=5, n_hnodes=1024, solo_epochs=200)
_DENSE_DISC = replace(_DENSE, disc='DenseLogReg', disc_hlayers=1, disc_hnodes=1024,
                      disc_weight=10.0, solo_epochs=0, combo_epochs=200)
_CONV = Experiment('', 'anime', 'ConvVAE', 512, vae_base_channels=32, solo_epochs=200)
_CONV_DISC = replace(_CONV, disc='ConvDisc', disc_base_channels=32, disc_weight=10.0,
                     solo_epochs=0, combo_epochs=200)
_RESNET = replace(_CONV_DISC, disc='ResNet', disc_base_channels=None)
_HALVES = {'n_latent': 1024, 'solo_epochs': 100, 'combo_epochs': 100}
_V1 = {'shuffle_seed': None}
_SMALL = {'n_latent': 256, 'vae_base_channels': 16}

_TABLE = [
    ('DenseVAE_on_MNIST/5_3_400_bce_50', _MNIST, {}),
    ('DenseVAE_on_MNIST/5_3_400_l2_50', _MNIST, {'pixel_loss': 'l2'}),
    ('DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', _MNIST,
     {'disc': 'DenseLogReg', 'disc_hlayers': 1, 'disc_hnodes': 200,
      'solo_epochs': 0, 'combo_epochs': 50}),
    ('DenseVAE_on_anime/512_5_1024_200_seeded', _DENSE, {}),
    ('DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded', _DENSE_DISC, {}),
    ('ConvVAE_on_anime/512_32_200_seeded', _CONV, {}),
    ('DenseVAE_on_anime/512_5_1024_200', _DENSE, _V1),
    ('DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10', _DENSE_DISC, _V1),
    ('ConvVAE_on_anime/512_32_200', _CONV, _V1),
    ('ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded', _CONV_DISC, {}),
    ('ConvVAE_ConvDisc_LeakyReLU_on_anime/256_16_16_200_10', _CONV_DISC,
     _V1 | _SMALL | {'disc_base_channels': 16}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_seeded', _RESNET, {}),
    ('ConvVAE_ResNet_on_anime/256_16_200_10', _RESNET, _V1 | _SMALL),
    ('ConvVAE_ResNet_on_anime/512_32_200_1_1', _RESNET, {'disc_weight': 1.0}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1', _RESNET, {}),
    ('ConvVAE_ResNet_on_anime/512_32_200_20_1', _RESNET, {'disc_weight': 20.0}),
    ('ConvVAE_ResNet_on_anime/512_32_200_50_1', _RESNET, {'disc_weight': 50.0}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1.2', _RESNET, {'pbp_weight': 1.2}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_0.8', _RESNET, {'pbp_weight': 0.8}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_0.5', _RESNET, {'pbp_weight': 0.5}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1_decay0.95', _RESNET, {'pbp_decay': 0.95}),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1_decay0.9', _RESNET, {'pbp_decay': 0.9}),
    ('ConvVAE_ResNet_on_anime/512_32_50+150_10_1', _RESNET,
     {'solo_epochs': 50, 'combo_epochs': 150}),
    ('ConvVAE_ResNet_on_anime/512_32_100+100_10_1', _RESNET,
     {'solo_epochs': 100, 'combo_epochs': 100}),
    ('ConvVAE_ResNet_on_anime/512_32_150+50_10_1', _RESNET,
     {'solo_epochs': 150, 'combo_epochs': 50}),
    ('ConvVAE_ConvDisc_LeakyReLU_on_anime/1024_32_64_200_10_1', _CONV_DISC,
     _HALVES | {'disc_base_channels': 64}),
    ('ConvVAE_ResNet_on_anime/1024_32_200_10_1', _RESNET, _HALVES),
    ('ConvVAE_ResNet_on_anime/1024_32_200_10_1_initlr2e-4', _RESNET, _HALVES | {'lr': 2e-4}),
    ('DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4', _CONV_DISC,
     _HALVES | {'vae': 'DeepConvVAE', 'disc': 'DeepConvDisc', 'disc_base_channels': 64,
                'lr': 2e-4}),
    ('ConvDecoder_ResNet_on_anime/512_32_200', _RESNET,
     {'vae': 'ConvDecoder', 'pixel_loss': None, 'disc_weight': 1.0}),
]
EXPERIMENTS = {name: replace(base, name=name, **changes) for name, base, changes in _TABLE}
if len(EXPERIMENTS) != len(_TABLE):
    raise ExperimentError('two experiments have the same name')


def get(name: str) -> Experiment:
    """The row of that published name; ExperimentError with near names if there is none."""
    name = name.strip('/')
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.5)
    hint = f'; near names: {", ".join(near)}' if near else ''
    raise ExperimentError(f'unknown experiment {name!r}{hint} (`list` shows all)')


def match(pattern: str) -> list[Experiment]:
    """The rows whose names match a shell pattern; ExperimentError if none does."""
    rows = [row for name, row in EXPERIMENTS.items() if fnmatchcase(name, pattern)]
    if not rows:
        raise ExperimentError(f'no experiment matches {pattern!r} (`list` shows all)')
    return rows


def canonical(row: Experiment) -> Experiment:
    """The first row with the configuration of this one: the name it is trained under."""
    configuration = row.configuration()
    return next((other for other in EXPERIMENTS.values()
                 if other.configuration() == configuration), row)


def with_epochs(row: Experiment, text: str) -> Experiment:
    """The row with other epochs: 'N' for rows with one kind of epoch, or 'S+C' (solo + combo)."""
    found = re.fullmatch(r'(\d{1,6})(?:\+(\d{1,6}))?', text)
    if not found:
        raise ExperimentError(f'--epochs {text!r}: expected N, or S+C such as 50+150')
    first, second = int(found[1]), found[2]
    if second is not None:
        if not row.disc:
            raise ExperimentError(f'--epochs {text}: {row.name} has no discriminator, '
                                  'expected N')
        return replace(row, solo_epochs=first, combo_epochs=int(second))
    if row.solo_epochs and row.combo_epochs:
        raise ExperimentError(f'--epochs {text}: {row.name} has solo and combo epochs, '
                              'expected S+C')
    return replace(row, **{'combo_epochs' if row.combo_epochs else 'solo_epochs': first})


def with_field(row: Experiment, assignment: str) -> Experiment:
    """The row with one field set from 'field=value'; the value keeps the field's type."""
    field, equals, text = assignment.partition('=')
    if not equals or field not in _TYPES:
        raise ExperimentError(f'{assignment!r}: expected field=value with a field of '
                              + ', '.join(_TYPES))
    if text.lower() == 'none' and type(None) in getattr(_TYPES[field], '__args__', ()):
        return replace(row, **{field: None})
    try:
        value = kind(field)(text)
    except ValueError:
        names = {int: 'a whole number', float: 'a number'}
        raise ExperimentError(f'{field}={text!r}: expected {names[kind(field)]}') from None
    return replace(row, **{field: value})


_TYPES = {f.name: f.type for f in fields(Experiment) if f.name != 'name'}


def kind(field: str) -> type:
    """int, float or str: what the values of a field are, but for none."""
    return getattr(_TYPES[field], '__args__', (_TYPES[field],))[0]


def takes(field: str, value) -> bool:
    """Whether a field's values are of this type."""
    if value is None:
        return type(None) in getattr(_TYPES[field], '__args__', ())
    return type(value) is kind(field) or kind(field) is float and type(value) is int
