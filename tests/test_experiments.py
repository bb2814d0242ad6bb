"""The registry against the published table, and what runs are called."""
import csv
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from training.commands import parser, train
from training.experiments import canonical, naming, registry
from training.experiments.registry import EXPERIMENTS, ExperimentError

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = {line['name']: line
             for line in csv.DictReader(open(ROOT / 'results' / 'published.csv'))}
SOLO_NAME = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
MIX = 'ConvVAE_ResNet_on_anime/512_32_50+150_10_1'
GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
VAEGAN = 'VAEGAN_on_MNIST/A_64_100'
FIELDS = ('data', 'vae', 'disc', 'n_latent', 'n_hlayers', 'n_hnodes', 'pixel_loss',
          'vae_base_channels', 'disc_hlayers', 'disc_hnodes', 'disc_base_channels', 'solo_epochs',
          'combo_epochs', 'lr', 'disc_weight', 'pbp_weight', 'pbp_decay')


@pytest.mark.parametrize('name', PUBLISHED)
def test_row_has_the_published_configuration_and_procedure(name):
    row, published = EXPERIMENTS[name], PUBLISHED[name]
    for field in FIELDS:
        value = getattr(row, field)
        text = published['pbp_decay_per_25' if field == 'pbp_decay' else field]
        if text:
            assert type(value)(text) == value, field
        else:  # what it lacks, or a weight of what it lacks
            assert value is None or (value == 1 and field in ('disc_weight', 'pbp_weight')
                                     and not (row.disc and row.pixel_loss)), field
    in_name_order = published['in_readme'] == 'v1' and published['data'] == 'anime'
    assert row.shuffle_seed == (None if in_name_order else 0)
    assert (row.step, row.layout, row.batch_size, row.seed) == ('published', 'reshape', 64, 0)
    assert row.limit is None and row.max_disc_loss == 999
    assert 'xuganyu96/VAE-GAN-learnable-loss at bb30d9f' in published['source']


def test_rows_with_equal_configurations_are_trained_once():
    first = 'ConvVAE_ResNet_on_anime/512_32_200_10_seeded'
    twin = EXPERIMENTS['ConvVAE_ResNet_on_anime/512_32_200_10_1']
    assert canonical.trained_row(twin).name == first
    names = {canonical.trained_row(row).name for row in EXPERIMENTS.values()}
    assert {*EXPERIMENTS} - names == {twin.name}


@pytest.mark.parametrize('name, text, expected', [
    (SOLO_NAME, '7', (7, 0)), (COMBO, '7', (0, 7)), (COMBO, '3+4', (3, 4)), (MIX, '1+2', (1, 2)),
    (MIX, '0+2', (0, 2))])
def test_epochs(name, text, expected):
    row = registry.changed(EXPERIMENTS[name], epochs=text)
    assert (row.solo_epochs, row.combo_epochs) == expected


@pytest.mark.parametrize('name, text', [
    (COMBO, ''), (COMBO, 'ten'), (COMBO, '-1'), (COMBO, '1.5'), (COMBO, '1+'), (COMBO, '0'),
    (COMBO, '0+0'), (COMBO, '9999999'), (MIX, '5'), (SOLO_NAME, '0'), (SOLO_NAME, '1+1'),
    (GAN, '1+1')])
def test_bad_epochs_are_refused(name, text):
    with pytest.raises(ExperimentError):
        registry.changed(EXPERIMENTS[name], epochs=text)


BAD = {  # by row: fields that it cannot have, or that change nothing, and what is said of them
    COMBO: [('latents=5', 'a field of data, image_size, layout, shuffle_seed, held_out, limit, '
                          'mirror, images, vae, n_latent'),
            ('n_latent', 'expected field=value'), ('name=x', 'a field of'),
            ('n_latent=five', 'a whole number'), ('n_latent=5.0', 'a whole number'),
            ('n_latent=none', 'a whole number'), ('lr=fast', 'a number'), ('lr=nan', 'above 0'),
            ('lr=0', 'above 0'), ('lr=-1', 'above 0'), ('pbp_weight=-0.1', 'not below 0'),
            ('disc_weight=inf', 'finite'), ('seed=-1', 'not below'),
            ('step=both', 'published, shared'), ('layout=hwc', 'reshape, transpose'),
            ('pixel_loss=mae', 'bce, l2'), ('disc=none', 'no discriminator'),
            ('batch_size=0', 'above 0'), ('limit=0', 'limit=0: expected a finite number above 0'),
            ('n_hlayers=1000', 'n_hlayers=1000: expected at most 100'),
            ('disc_warmup=2 disc_weight=0', 'disc_weight is 0')],
    SOLO_NAME: [('pbp_weight=2', 'no combo epochs'), ('disc_warmup=2', 'no combo epochs'),
                ('disc=ResNet', 'no combo epochs')],
    GAN: [(change, 'a plain GAN has one loss')
          for change in ('disc_weight=3', 'disc_warmup=3', 'stop_after=3')],
    'VAEGAN_on_anime/paper_128_200': [('adam_beta1=0.5', 'rmsprop has none')],
    VAEGAN: [('margin=0.2', 'no equilibrium'), ('schedule_rule=as_logged', 'are constant'),
             ('minibatch_dims=3', 'no minibatch kernels')]}


@pytest.mark.parametrize('name, changes, message', [
    (name, *case) for name, cases in BAD.items() for case in cases])
def test_bad_change_is_refused(name, changes, message):
    with pytest.raises(ExperimentError, match=re.escape(message)):
        canonical.trained_row(registry.changed(EXPERIMENTS[name], changes.split()))


def test_whole_number_becomes_a_float_in_a_field_of_floats():
    weight = registry.changed(EXPERIMENTS[COMBO], ['disc_weight=3']).disc_weight
    assert weight == 3 and isinstance(weight, float)


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_whole_row_alone_is_called_so(name):
    row = EXPERIMENTS[name]
    assert naming.run_name(row) == name
    fewer = replace(row, **{field: epochs for field, epochs in (
        ('solo_epochs', 7), ('combo_epochs', 9)) if getattr(row, field)})
    assert naming.run_name(fewer) not in EXPERIMENTS
    caption = naming.caption(row)
    assert caption.startswith('The published' if name in PUBLISHED else 'The whole')
    kept = replace(row, grid_every=3, n_classified=7) if row.of_pictures() else row
    assert (naming.run_name(kept), naming.caption(kept)) == (name, caption)
    assert naming.caption(replace(row, limit=64)).startswith(
        'NOT the published' if name in PUBLISHED else 'NOT the whole')


@pytest.mark.parametrize('name, changes, expected', [
    (COMBO, {'solo_epochs': 1, 'combo_epochs': 2},
     'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_1+2'),
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


@pytest.mark.parametrize('name, assignments, epochs', [
    (COMBO, [], None), (COMBO, ['limit=5', 'disc_weight=2.5'], '2'), (COMBO, ['seed=4'], '1+50'),
    (COMBO, ['data=sketch_digits', 'step=shared', 'layout=transpose'], None),
    (SOLO_NAME, ['stop_after=5', 'mirror=yes'], None),
    (SOLO_NAME, ['disc=DenseLogReg', 'disc_hlayers=1', 'disc_hnodes=20'], '3+4'),
    # Of these no field can be changed before the other
    ('VAEGAN_on_adult/A_2048_100_lr1', ['fake_low=0.15', 'fake_high=0.2'], None),
    (VAEGAN, ['schedule=lr2', 'n_validation=100'], None),
    (VAEGAN, ['data=sketch_digits', 'n_classified=0'], '3')])
def test_command_of_a_run_gives_the_same_run(name, assignments, epochs):
    row = registry.changed(EXPERIMENTS[name], assignments, epochs)
    words = shlex.split(naming.command(row))
    assert words[:3] == ['python', '-m', 'training']
    args = parser.parser(ROOT).parse_args(words[3:])
    assert args.name == name
    assert row == registry.changed(EXPERIMENTS[name], train._changes(vars(args)), args.epochs)


@pytest.mark.parametrize('name, change, compared', [
    (SOLO_NAME, {}, True), (SOLO_NAME, {'solo_epochs': 20, 'step': 'shared', 'seed': 3}, True),
    (SOLO_NAME, {'limit': 640}, False), (SOLO_NAME, {'data': 'sketch_digits'}, False),
    (MIX, {'combo_epochs': 7}, True), (MIX, {'combo_epochs': 0}, True),
    (MIX, {'solo_epochs': 4, 'combo_epochs': 0}, True),
    (MIX, {'solo_epochs': 4}, False), (MIX, {'vae_base_channels': 8}, False),
    (VAEGAN, {'combo_epochs': 25, 'grid_from': 1, 'grid_every': 1}, True),
    (VAEGAN, {'gamma': 1.0}, False)])
def test_published_curve_is_shown_to_runs_that_do_the_same(name, change, compared):
    row, curve = replace(EXPERIMENTS[name], **change), [{'epoch': '0'}]
    assert naming.comparable_curve(row, {'curve': curve}) == (curve if compared else [])
