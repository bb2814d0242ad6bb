"""The registry against the published table, and what runs are called."""
import csv
import re
import shlex
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest

from training.commands import parser, train
from training.experiments import canonical, naming, registry
from training.experiments.registry import EXPERIMENTS, ExperimentError

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = {line['name']: line
             for line in csv.DictReader(open(ROOT / 'results' / 'published.csv'))}
SOLO_NAME = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COLUMNS = {'data': 'data', 'vae': 'vae', 'disc': 'disc', 'n_latent': 'n_latent',
           'n_hlayers': 'n_hlayers', 'n_hnodes': 'n_hnodes', 'pixel_loss': 'pixel_loss',
           'vae_base_channels': 'vae_base_channels', 'disc_hlayers': 'disc_hlayers',
           'disc_hnodes': 'disc_hnodes', 'disc_base_channels': 'disc_base_channels',
           'solo_epochs': 'solo_epochs', 'combo_epochs': 'combo_epochs', 'lr': 'lr',
           'disc_weight': 'disc_weight', 'pbp_weight': 'pbp_weight',
           'pbp_decay': 'pbp_decay_per_25'}
UNUSED_WITHOUT = {'disc_weight': 'disc', 'pbp_weight': 'pixel_loss'}  # field: what gives it sense
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
MIX = 'ConvVAE_ResNet_on_anime/512_32_50+150_10_1'


def test_all_thirty_published_experiments_are_there_in_order():
    assert len(PUBLISHED) == 30
    assert list(EXPERIMENTS)[:30] == list(PUBLISHED)
    assert not {*list(EXPERIMENTS)[30:]} & registry.PUBLISHED


@pytest.mark.parametrize('name', PUBLISHED)
@pytest.mark.parametrize('field', COLUMNS)
def test_row_has_the_published_configuration(name, field):
    row, published = EXPERIMENTS[name], PUBLISHED[name][COLUMNS[field]]
    value = getattr(row, field)
    if not published:
        gives_sense = UNUSED_WITHOUT.get(field)
        no_discriminator = name.startswith('ConvDecoder') or not row.disc
        assert value is None or (gives_sense and no_discriminator and value == 1)
    else:
        assert type(value)(published) == value


@pytest.mark.parametrize('name', PUBLISHED)
def test_only_v1_rows_are_in_name_order(name):
    versions, data = PUBLISHED[name]['in_readme'], PUBLISHED[name]['data']
    unshuffled = versions == 'v1' and data == 'anime'
    assert EXPERIMENTS[name].shuffle_seed == (None if unshuffled else 0)


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_numbers_name_their_source(name):
    assert 'xuganyu96/VAE-GAN-learnable-loss at bb30d9f' in PUBLISHED[name]['source']


def test_published_procedure_is_the_default():
    for row in map(EXPERIMENTS.get, PUBLISHED):
        assert (row.step, row.layout, row.batch_size, row.seed) == ('published', 'reshape', 64, 0)
        assert row.limit is None and row.max_disc_loss == 999


def test_rows_with_equal_configurations_are_trained_once():
    first = 'ConvVAE_ResNet_on_anime/512_32_200_10_seeded'
    twin = EXPERIMENTS['ConvVAE_ResNet_on_anime/512_32_200_10_1']
    assert canonical.trained_row(twin).name == first
    names = {canonical.trained_row(row).name for row in EXPERIMENTS.values()}
    assert {*EXPERIMENTS} - names == {twin.name}


def test_unknown_name_is_refused_with_near_ones():
    with pytest.raises(ExperimentError, match='near names: DenseVAE_on_MNIST/5_3_400_bce_50'):
        registry.get('DenseVAE_on_MNIST/5_3_400_bce_5')


@pytest.mark.parametrize('name, text, expected', [
    ('DenseVAE_on_MNIST/5_3_400_bce_50', '7', (7, 0)), (COMBO, '7', (0, 7)),
    (COMBO, '3+4', (3, 4)), (MIX, '1+2', (1, 2)), (MIX, '0+2', (0, 2)),
])
def test_epochs(name, text, expected):
    row = registry.changed(EXPERIMENTS[name], epochs=text)
    assert (row.solo_epochs, row.combo_epochs) == expected


@pytest.mark.parametrize('name, text', [
    (COMBO, ''), (COMBO, 'ten'), (COMBO, '-1'), (COMBO, '1.5'), (COMBO, '1+'), (COMBO, '0'),
    (COMBO, '0+0'), (COMBO, '9999999'), (MIX, '5'), (SOLO_NAME, '0'),
    ('DenseVAE_on_MNIST/5_3_400_bce_50', '1+1'), ('ConvDecoder_ResNet_on_anime/512_32_200', '1+1'),
])
def test_bad_epochs_are_refused(name, text):
    with pytest.raises(ExperimentError):
        registry.changed(EXPERIMENTS[name], epochs=text)


@pytest.mark.parametrize('assignment, message', [
    ('latents=5', 'a field of data, image_size, layout, shuffle_seed, held_out, limit, mirror, '
                  'images, vae, n_latent'),
    ('n_latent', 'expected field=value'),
    ('n_latent=five', 'a whole number'), ('n_latent=5.0', 'a whole number'),
    ('lr=fast', 'a number'), ('lr=nan', 'above 0'), ('lr=0', 'above 0'), ('lr=-1', 'above 0'),
    ('pbp_weight=-0.1', 'not below 0'), ('disc_weight=inf', 'finite'), ('seed=-1', 'not below'),
    ('step=both', 'published, shared'), ('layout=hwc', 'reshape, transpose'),
    ('pixel_loss=mae', 'bce, l2'),
    ('name=x', 'a field of'), ('disc=none', 'no discriminator'), ('batch_size=0', 'above 0'),
    ('n_latent=none', 'a whole number'), ('limit=0', 'limit=0: expected a finite number above 0'),
    ('n_hlayers=1000', 'n_hlayers=1000: expected at most 100'),
])
def test_bad_field_is_refused(assignment, message):
    with pytest.raises(ExperimentError, match=re.escape(message)):
        registry.changed(EXPERIMENTS[COMBO], [assignment])


@pytest.mark.parametrize('name, assignments, message', [
    (SOLO_NAME, ['pbp_weight=2'], 'no combo epochs'), (SOLO_NAME, ['disc_warmup=2'], 'no combo'),
    (COMBO, ['disc_warmup=2', 'disc_weight=0'], 'disc_weight is 0'),
    (SOLO_NAME, ['disc=ResNet'], 'no combo'),
    ('ConvDecoder_ResNet_on_anime/512_32_200', ['disc_weight=3'], 'a plain GAN has one loss'),
    ('ConvDecoder_ResNet_on_anime/512_32_200', ['disc_warmup=3'], 'a plain GAN has one loss'),
    ('ConvDecoder_ResNet_on_anime/512_32_200', ['stop_after=3'], 'a plain GAN has one loss'),
    ('VAEGAN_on_anime/paper_128_200', ['adam_beta1=0.5'], 'rmsprop has none'),
    ('VAEGAN_on_MNIST/A_64_100', ['margin=0.2'], 'no equilibrium'),
    ('VAEGAN_on_MNIST/A_64_100', ['schedule_rule=as_logged'], 'are constant'),
    ('VAEGAN_on_MNIST/A_64_100', ['minibatch_dims=3'], 'no minibatch kernels')])
def test_change_that_does_nothing_is_refused(name, assignments, message):
    row = registry.changed(EXPERIMENTS[name], assignments)
    with pytest.raises(ExperimentError, match=message):
        canonical.trained_row(row)


def test_field_keeps_its_type():
    row = registry.changed(EXPERIMENTS[COMBO], ['disc_weight=3'])
    assert row.disc_weight == 3.0 and isinstance(row.disc_weight, float)
    assert registry.changed(row, ['limit=none']).limit is None


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_only_published_rows_are_called_published(name):
    row = EXPERIMENTS[name]
    assert naming.caption(row).startswith('The published' if name in PUBLISHED else 'The whole')
    assert naming.caption(replace(row, limit=64)).startswith(
        'NOT the published' if name in PUBLISHED else 'NOT the whole')


def test_caption_says_nothing_of_which_pictures_are_kept():
    row = replace(EXPERIMENTS['VAEGAN_on_MNIST/A_64_100'], grid_every=1, n_classified=0)
    assert naming.caption(row) == 'The whole of the experiment VAEGAN_on_MNIST/A_64_100.'


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_published_run_keeps_its_published_name(name):
    assert naming.run_name(EXPERIMENTS[name]) == name


@pytest.mark.parametrize('name, changes, expected', [
    (COMBO, {'combo_epochs': 2}, 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_2'),
    (COMBO, {'solo_epochs': 1, 'combo_epochs': 2},
     'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_1+2'),
    (COMBO, {'limit': 3200, 'step': 'shared', 'seed': 1, 'layout': 'transpose'},
     'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50_n3200_shared_transpose_seed1'),
    (MIX, {'solo_epochs': 5, 'combo_epochs': 15}, 'ConvVAE_ResNet_on_anime/512_32_5+15_10_1'),
    ('ConvVAE_ResNet_on_anime/1024_32_200_10_1_initlr2e-4', {'combo_epochs': 3},
     'ConvVAE_ResNet_on_anime/1024_32_100+3_10_1_initlr2e-4'),
    (SOLO_NAME, {'stop_after': 5, 'initial': '0123abcd', 'mirror': 'yes'},
     f'{SOLO_NAME}_stop5_mirror-yes_from-0123abcd'),
    (COMBO, {'data': 'sketch_digits'}, 'DenseVAE_DenseLogReg_on_sketch_digits/5_3_400_1_200_50'),
    (COMBO, {'n_latent': 9, 'disc': 'gluoncv:resnet18_v1'}, 'DenseVAE_DenseLogReg_on_MNIST/'
     '5_3_400_1_200_50_n_latent-9_disc-gluoncv-resnet18_v1'),
])
def test_changed_run_says_so_in_its_name(name, changes, expected):
    assert naming.run_name(replace(EXPERIMENTS[name], **changes)) == expected


@pytest.mark.parametrize('name, sizes, expected', [
    ('50_3_400_bce_50', {'n_latent': 50}, '50_3_400_bce_2'),
    ('50_3_50_bce_50', {'n_latent': 50, 'n_hnodes': 50}, '50_3_50_bce_2'),
    ('50_3_400_bce', {'n_latent': 50}, '50_3_400_bce_epochs-2'),
    ('5_3_400_bce', {}, '5_3_400_bce_epochs-2'), ('small', {}, 'small_epochs-2')])
def test_other_epochs_stand_in_their_own_place(monkeypatch, name, sizes, expected):
    row = replace(EXPERIMENTS[SOLO_NAME], name=f'DenseVAE_on_MNIST/{name}', **sizes)
    monkeypatch.setitem(EXPERIMENTS, row.name, row)
    assert naming.run_name(replace(row, solo_epochs=2)) == f'DenseVAE_on_MNIST/{expected}'


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_no_run_with_other_epochs_takes_a_published_name(name):
    row = EXPERIMENTS[name]
    other = replace(row, **{field: epochs for field, epochs in (
        ('solo_epochs', 7), ('combo_epochs', 9)) if getattr(row, field)})
    assert naming.run_name(other) not in EXPERIMENTS


@pytest.mark.parametrize('name, assignments, epochs', [
    (COMBO, [], None), (COMBO, ['limit=5', 'disc_weight=2.5'], '2'), (COMBO, ['seed=4'], '1+50'),
    (COMBO, ['data=sketch_digits', 'step=shared', 'layout=transpose'], None),
    (SOLO_NAME, ['stop_after=5', 'mirror=yes'], None),
    (SOLO_NAME, ['disc=DenseLogReg', 'disc_hlayers=1', 'disc_hnodes=20'], '3+4'),
    # Of these no field can be changed before the other
    ('VAEGAN_on_adult/A_2048_100_lr1', ['fake_low=0.15', 'fake_high=0.2'], None),
    ('VAEGAN_on_MNIST/A_64_100', ['schedule=lr2', 'n_validation=100'], None),
    ('VAEGAN_on_MNIST/A_64_100', ['data=sketch_digits', 'n_classified=0'], '3')])
def test_command_of_a_run_gives_the_same_run(name, assignments, epochs):
    row = registry.changed(EXPERIMENTS[name], assignments, epochs)
    words = shlex.split(naming.command(row))
    assert words[:3] == ['python', '-m', 'training']
    args = parser.parser(ROOT).parse_args(words[3:])
    assert args.name == name
    assert row == registry.changed(EXPERIMENTS[name], train._changes(vars(args)), args.epochs)


def test_match_is_a_shell_pattern():
    names = [row.name for row in registry.match('Dense*_on_MNIST/*')]
    assert [name for name in names if name in PUBLISHED] == [
        name for name in PUBLISHED if fnmatch(name, '*MNIST*')]
    assert all(name.startswith('Dense') for name in names)
    with pytest.raises(ExperimentError, match='no experiment matches'):
        registry.match('*CIFAR*')


@pytest.mark.parametrize('name, change, compared', [
    (SOLO_NAME, {}, True), (SOLO_NAME, {'solo_epochs': 20, 'step': 'shared', 'seed': 3}, True),
    (SOLO_NAME, {'limit': 640}, False), (SOLO_NAME, {'data': 'sketch_digits'}, False),
    (MIX, {'combo_epochs': 7}, True), (MIX, {'combo_epochs': 0}, True),
    (MIX, {'solo_epochs': 4, 'combo_epochs': 0}, True),
    (MIX, {'solo_epochs': 4}, False), (MIX, {'vae_base_channels': 8}, False),
    ('VAEGAN_on_MNIST/A_64_100', {'combo_epochs': 25, 'grid_from': 1, 'grid_every': 1}, True),
    ('VAEGAN_on_MNIST/A_64_100', {'gamma': 1.0}, False)])
def test_published_curve_is_shown_to_runs_that_do_the_same(name, change, compared):
    row, curve = replace(EXPERIMENTS[name], **change), [{'epoch': '0'}]
    assert naming.comparable_curve(row, {'curve': curve}) == (curve if compared else [])
