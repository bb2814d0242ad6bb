"""The registry: one frozen row per experiment. Plain data, standard library only.

An experiment's name is its published folder, `<Model>_on_<data>/<hparams>`. Some published
names mislead (`1024_32_64_200_10_1` is 100 solo + 100 combo epochs), so the name is only an
id: what is trained is what the fields say. Published numbers are in results/published.csv.

Source: github.com/xuganyu96/VAE-GAN-learnable-loss, commit bb30d9f (2019). The VAE/GAN rows
follow others, named where they begin.
"""
import re
from collections.abc import Iterable
from dataclasses import Field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from training.experiments.fields import parsed, typed
from training.experiments.row import Experiment, ExperimentError, Row, VaeGan

# The families: what the rows of one pair of nets share.
_MNIST = Experiment(name='', data='MNIST', vae='DenseVAE', n_latent=5, n_hlayers=3, n_hnodes=400,
                    solo_epochs=50)
_DENSE = Experiment(name='', data='anime', vae='DenseVAE', n_latent=512, n_hlayers=5,
                    n_hnodes=1024, solo_epochs=200)
_DENSE_DISC = replace(_DENSE, disc='DenseLogReg', disc_hlayers=1, disc_hnodes=1024,
                      disc_weight=10.0, solo_epochs=0, combo_epochs=200)
_CONV = Experiment(name='', data='anime', vae='ConvVAE', n_latent=512, vae_base_channels=32,
                   solo_epochs=200)
_CONV_DISC = replace(_CONV, disc='ConvDisc', disc_base_channels=32, disc_weight=10.0,
                     solo_epochs=0, combo_epochs=200)
_RESNET = replace(_CONV_DISC, disc='ResNet', disc_base_channels=None)
_HALVES = {'n_latent': 1024, 'solo_epochs': 100, 'combo_epochs': 100}
_V1 = {'shuffle_seed': None}
_SMALL = {'n_latent': 256, 'vae_base_channels': 16}

_PUBLISHED = [  # by the course project, in the order of its README
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
PUBLISHED = frozenset(name for name, *_ in _PUBLISHED)
# VAE/GANs with a learned similarity. A: github.com/Shuntw6096/VAE-GAN. B:
# github.com/edchengg/VAE_GAN. The paper: Larsen et al. (2016), arXiv:1512.09300. What their
# sources leave open was chosen here: see results/learned_similarity.md.
_A = VaeGan(name='', data='MNIST', vae='VAE_A', n_latent=64, n_hnodes=1024, vae_base_channels=64,
            disc='Disc_A', disc_hnodes=1024, disc_base_channels=64, lr=5e-4, batch_size=100,
            combo_epochs=100, beta=1 / 4096, gamma=1e-8, kl_normaliser='latents',
            grid_every=5)
_A_FACES = replace(_A, data='adult', n_latent=2048, batch_size=50, minibatch_kernels=16,
                   dropout=0.4, real_low=0.8, fake_high=0.1, flips=0.02, n_validation=1500,
                   layout='transpose')
_B = VaeGan(name='', data='MNIST', vae='VAE_B', n_latent=20, n_hlayers=3, n_hnodes=1024,
            disc='Disc_B', disc_hlayers=3, disc_hnodes=1024, lr=1e-4, batch_size=128,
            combo_epochs=50, similarity='logit', similarity_pass='own',
            likelihood='mean_square', gamma=25.0, beta=5.0, kl_normaliser='pixels',
            gan_term='saturating', dropout=0.1, grid_side=8, grid_from=1, grid_every=1)
_PAPER = VaeGan(name='', data='anime', vae='VAE_paper', n_latent=128, n_hnodes=2048,
                vae_base_channels=64, disc='Disc_paper', disc_hnodes=512, disc_base_channels=32,
                lr=3e-4, optimizer='rmsprop', combo_epochs=200, similarity='conv4',
                layout='transpose', gan_term='saturating', equilibrium=0.68, pixels='signed',
                disc_batches='together', similarity_pass='own')
_PAPER_MNIST = VaeGan(name='', data='MNIST', vae='DenseVAE', n_latent=5, n_hlayers=3, n_hnodes=400,
                      disc='DenseLogReg', disc_hlayers=1, disc_hnodes=200, combo_epochs=50,
                      similarity='dense1', gamma=1.0)

_VAE_GANS = [
    ('VAEGAN_on_MNIST/A_64_100', _A, {'n_classified': 10_000}),
    *((f'VAEGAN_on_adult/A_2048_100_{schedule}', _A_FACES,
       {'schedule': schedule if schedule != 'lr1' else 'constant'})
      for schedule in ('lr1', 'lr2', 'lr3', 'lr4')),
    *((f'VAEGAN_on_adult/A_2048_100_{schedule}_as_logged', _A_FACES,
       {'schedule': schedule, 'schedule_rule': 'as_logged'})
      for schedule in ('lr2', 'lr3', 'lr4')),
    ('VAEGAN_on_MNIST/B_20_50', _B, {}),
    ('VAEGAN_on_MNIST/B_20_50_as_published', _B, {'routing': 'accumulated'}),
    ('VAEGAN_on_anime/paper_128_200', _PAPER, {}),
    ('VAEGAN_on_MNIST/paper_5_3_400_1_200_50', _PAPER_MNIST, {}),
]
# ConvVAE without the original's flaws, and of a size that learns in minutes
WITHOUT_FLAWS = {'layout': 'transpose', 'encoder': 'strided', 'latent_head': 'linear'}
SMALLER = {'n_latent': 128, 'vae_base_channels': 16}
# The paper's losses, with those nets and a discriminator of the course project
_PAPER_REPAIRED = VaeGan(name='', data='anime', vae='ConvVAE', disc='ConvDisc',
                         disc_base_channels=8, combo_epochs=16, similarity='act2', gamma=1.0,
                         disc_batches='together', similarity_pass='own',
                         **WITHOUT_FLAWS | SMALLER)
_OURS = [  # not published: a name, a base row and what differs
    ('ConvVAE_on_anime/128_16_100_repaired', _CONV,
     WITHOUT_FLAWS | SMALLER | {'solo_epochs': 100}),
    ('ConvVAE_ConvDisc_LeakyReLU_on_anime/128_16_8_32_10_repaired', _CONV_DISC,
     WITHOUT_FLAWS | SMALLER | {'disc_base_channels': 8, 'combo_epochs': 32, 'step': 'shared'}),
    ('VAEGAN_on_anime/paper_128_16_8_16_repaired', _PAPER_REPAIRED, {}),
]
OURS = frozenset(name for name, *_ in _OURS)
_TABLE = [*_PUBLISHED, *_VAE_GANS, *_OURS]
EXPERIMENTS = {name: replace(base, name=name, **changes) for name, base, changes in _TABLE}
if len(EXPERIMENTS) != len(_TABLE):
    raise ExperimentError('two experiments have the same name')


def get(name: str) -> Row:
    """Return the row of that name; ExperimentError with near names if there is none."""
    name = name.strip('/')
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.5)
    hint = f'; near names: {", ".join(near)}' if near else ''
    raise ExperimentError(f'unknown experiment {name!r}{hint} (`list` shows all)')


def match(pattern: str) -> list[Row]:
    """Return the rows whose names match a shell pattern; ExperimentError if none does."""
    rows = [row for name, row in EXPERIMENTS.items() if fnmatchcase(name, pattern)]
    if not rows:
        raise ExperimentError(f'no experiment matches {pattern!r} (`list` shows all)')
    return rows


def changed(row: Row, assignments: Iterable[str] = (),
            epochs: str | None = None) -> Row:
    """Return the row with fields set from 'field=value' and other epochs, all at once.

    epochs: 'N' for rows with one kind of epoch, or 'S+C' (solo + combo).
    """
    fields = dict(_field(row, assignment) for assignment in assignments)
    if epochs is not None:
        fields = _epochs(row, epochs, fields.get('disc', row.disc)) | fields
    return replace(row, **fields)


def with_values(row: Row, values: dict[str, Any]) -> Row:
    """Return the row with fields of these values, all at once; 'none' may stand for none."""
    return replace(row, **{field: typed(_known(row, field, f'{field}={value!r}', 'a field of '),
                                        value) for field, value in values.items()})


def _epochs(row: Row, text: str, disc: str | None) -> dict[str, int]:
    asked = re.fullmatch(r'(\d{1,6})(?:\+(\d{1,6}))?', text)
    if not asked:
        raise ExperimentError(f'--epochs {text!r}: expected N, or S+C such as 50+150')
    first, second = int(asked[1]), asked[2]
    if second is not None:
        if not disc or 'solo_epochs' not in row.fields():
            lacks = 'solo epochs' if disc else 'discriminator'
            raise ExperimentError(f'--epochs {text}: {row.name} has no {lacks}, expected N')
        return {'solo_epochs': first, 'combo_epochs': int(second)}
    if row.solo_epochs and row.combo_epochs:
        raise ExperimentError(f'--epochs {text}: {row.name} has solo and combo epochs, '
                              'expected S+C')
    return {'combo_epochs' if row.combo_epochs else 'solo_epochs': first}


def _field(row: Row, assignment: str) -> tuple[str, int | float | str | None]:
    """Return a field and its value, of the field's type."""
    field, equals, text = assignment.partition('=')
    one = _known(row, field if equals else '', repr(assignment), 'field=value with a field of ')
    return field, parsed(one, text)


def _known(row: Row, field: str, said: str, expected: str) -> Field:
    """Return a field of the row by its name; ExperimentError if it has no such one.

    said: what the user said. expected: in its place, before the names of fields.
    """
    known = row.fields()
    if field in {*Experiment.fields(), *VaeGan.fields()} - known.keys():
        raise ExperimentError(f'{said}: expected no change, for {row.name} has no such field')
    if field not in known:
        raise ExperimentError(f'{said}: expected {expected}' + ', '.join(known))
    return known[field]
