"""Where a training begins, on what, when it ends, and what it keeps."""
import functools
import json
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from mxnet import cpu

import models
from data.images import Images
from tests.test_models import networks_of
from training import __main__ as main
from training.commands import initial
from training.experiments import early_stopping, naming, registry
from training.reporting import page, published, verify
from training.reporting.statistics import read_statistics, write_statistics
from training.run import loop
from training.steps import phases, solo_combo
from training.storage import parameters, run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL = ['--set', 'n_hnodes=16', '--limit', '64']
LEARNING = [*SMALL, '--set', 'lr=0.02', '--set', 'batch_size=16']
ROW = replace(registry.EXPERIMENTS[SOLO], n_hnodes=8)
STOPPED, BEST = ('--stop-after', '2'), ('--set', 'keep=best')


@pytest.fixture
def run(cli, tmp_path, data_root):
    def start(name, *words):
        status, out, err = cli(['run', name, *words, '--results-root', str(tmp_path),
                                '--data-root', str(data_root), '--ctx', 'cpu'])
        return status, (tmp_path / out.strip().splitlines()[-1] if not status else err)
    return start


def of(folder, net='vae'):
    return parameters.read(folder / f'{net}.params')


def same(a, b):
    return all((a[name] == b[name]).all() for name in a.keys() | b.keys())


@pytest.mark.parametrize('layout', ['reshape', 'transpose'])
def test_mirror_images_follow_the_images(layout):
    stored = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
    order, some = np.array([4, 0, 5, 2]), np.array([5, 0, 3])
    both, chosen = Images(stored, layout, order).mirrored(3), stored[order[:3]]
    expected = np.concatenate([chosen, np.flip(chosen, 2)])
    assert (both.pixels == expected).all()
    assert (both[some] == Images(expected, layout)[some]).all()
    assert (stored[order[:3]] == chosen).all()  # what is stored stays


def test_training_on_mirror_images_is_training_on_both():
    stored = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
    row = replace(ROW, batch_size=8, solo_epochs=2)
    both = np.concatenate([stored[:20], np.flip(stored[:20], 2)])
    losses = [[record['vae_loss'] for record in loop.train(
        networks_of(of_row), Images(images), Images(stored), of_row, cpu())]
        for of_row, images in ((replace(row, mirror='yes', limit=20), stored), (row, both))]
    assert losses[0] == losses[1]
    assert [phases.n_batches(40, replace(row, limit=20, mirror=mirror))
            for mirror in ('no', 'yes')] == [3, 5]


def records(*losses):
    return [{'val_loss': loss} for loss in losses]


@pytest.mark.parametrize('fields, losses, is_over, kept', [
    ({'stop_after': 2}, (3,), False, 0), ({'stop_after': 2}, (3, 2, 2.5), False, 1),
    ({'stop_after': 2}, (3, 2, 2), False, 1), ({'stop_after': 2}, (3, 2, 2.5, 1.9), False, 3),
    ({'stop_after': 2}, (3, 2, 2.5, 2), True, 1),  # an equal one is no new low
    ({'keep': 'best'}, (1, 2, 3, 4), False, 0), ({'keep': 'best'}, (3, 1), False, 1),
    ({}, (1, 2, 3, 4), False, 3), ({}, (1,), False, 0),
    # An epoch without a held-out loss is never the best
    ({'stop_after': 2}, (5, None, 6), True, 0), ({'stop_after': 2}, (None, 5), False, 1),
    ({'stop_after': 2}, (None, None), False, 0)])
def test_a_run_is_over_after_epochs_without_a_new_low(fields, losses, is_over, kept):
    row, of_epochs = replace(ROW, **fields), records(*losses)
    assert not early_stopping.is_over(row, [])
    assert early_stopping.is_over(row, of_epochs) == is_over
    assert early_stopping.kept_epoch(row, of_epochs) == kept
    assert early_stopping.is_new_low(row, of_epochs) == (
        bool(fields) and kept == len(losses) - 1)


@pytest.mark.parametrize('asked', [STOPPED, BEST])
def test_the_best_epochs_parameters_are_kept(run, asked):
    status, stopped = run(COMBO, *LEARNING, '--epochs', '40', *asked)
    assert status == 0, stopped
    losses = [line['val_loss'] for line in read_statistics(stopped)]
    best = int(np.argmin(losses))
    if asked == BEST:
        assert best < 39 and len(losses) == 40 and '_keep-best' in stopped.name
    else:
        assert len(losses) == best + 3 < 40 and '_stop2' in stopped.name
    status, straight = run(COMBO, *LEARNING, '--epochs', str(best + 1))
    assert status == 0, straight
    assert all(same(of(stopped, net), of(straight, net)) for net in ('vae', 'disc'))
    assert (stopped / 'strip.png').read_bytes() == (straight / 'strip.png').read_bytes()
    assert f'are of epoch {best}, which has the lowest `val_loss`' in (
        stopped / 'README.md').read_text()
    assert not [path for path in stopped.iterdir() if path.name.startswith('checkpoint')]


@pytest.fixture(scope='module')
def ended(tmp_path_factory, data_root):
    """What a run with such words printed, its folder, its statistics and where they are."""
    @functools.cache
    def call(*words) -> tuple:
        root, printed = tmp_path_factory.mktemp('results'), StringIO()
        where = ['--results-root', str(root), '--data-root', str(data_root), '--ctx', 'cpu']
        with redirect_stdout(printed):
            assert main.main(['run', SOLO, *LEARNING, '--epochs', '40', *words, *where]) == 0
        folder, = run_folder.finished_runs(root).values()
        return printed.getvalue(), folder, read_statistics(folder), where
    return call


@pytest.mark.parametrize('words, end, differs', [
    (STOPPED, 'Training stopped after {} of 40 epochs, 2 without a new low of the held-out loss',
     'at most 40 epochs'),
    (BEST, 'Training went on for all {} epochs', 'keeps the best epoch')])
def test_which_epoch_was_kept_is_known_to_all_that_report_on_it(cli, ended, tmp_path, words, end,
                                                                differs):
    printed, folder, lines, where = ended(*words)
    kept = min(lines, key=lambda line: line['val_loss'])
    epoch, shown = f'{kept["epoch"]:.0f}', f'{kept["vae_loss"]:.2f}'
    said = f'{end.format(len(lines))}; parameters and pictures are of epoch {epoch},'
    readme = (folder / 'README.md').read_text()
    assert kept is not lines[-1] and (len(lines) == 40) == (words == BEST)
    assert said in printed and said in readme and f'| {epoch} | solo | {shown} |' in readme
    status, out, _ = cli(['verify', *where])
    assert status == 0 and 'strip drawn again' in out and (
        f'{len(lines)} of 40 epochs,' if words == STOPPED else '40 epochs,') in out
    listed, = json.loads(cli(['list', '--match', f'*/{folder.name}', '--json', *where[:2]])[1])
    variant, = listed['variants']
    assert (variant['our_epoch'], variant['our_vae_loss']) == (kept['epoch'], kept['vae_loss'])
    assert differs in variant['differs']
    assert cli(['report', *where[:2]])[0] == 0
    html = (folder.parents[1] / page.NAME).read_text()
    assert f'VAE loss, epoch {epoch}</td><td>{shown}</td>' in html
    other = str(run_folder.finished_runs(published.RESULTS / 'images')[SOLO])
    status, out, err = cli(['compare', str(folder), other, '--out', str(tmp_path / 'a.png')])
    assert status == 0 and f'| VAE loss, kept epoch | {shown} | 107.43 |' in out, err


@pytest.mark.parametrize('change, message', [
    (lambda lines: lines[:-1], 'has not the 40 epochs of its row'),
    (lambda lines: [*lines, lines[-1] | {'epoch': len(lines)}], 'after that with which its run'),
    (lambda lines: [lines[0] | {'val_loss': None}, *lines[1:]], 'lacks held-out losses')])
def test_statistics_of_another_end_are_wrong(ended, tmp_path, change, message):
    _, finished, lines, _ = ended(*STOPPED)
    folder = shutil.copytree(finished, tmp_path / finished.parent.name / finished.name)
    write_statistics(folder, change(lines))
    run_folder.write_checksums(folder)
    assert message in str(verify.check(folder, {}))


def test_a_run_is_stopped_by_the_loss_that_it_minimises():
    """With as much weight of KL; without `stop_after` it has 1, whatever the row says."""
    images = Images(np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8))

    def held_out(kl_weight, **fields):
        row = replace(ROW, kl_weight=kl_weight, **fields)
        return solo_combo.held_out_losses(networks_of(row), images, row, cpu())['val_loss']
    pixel, both = (held_out(weight, stop_after=3) for weight in (0., 1.))
    assert both > pixel
    assert held_out(100., stop_after=3) == pytest.approx(pixel + 100 * (both - pixel), rel=1e-4)
    assert both == held_out(1.) == held_out(100.)
    assert held_out(100., stop_after=3) == held_out(100., keep='best')


@pytest.mark.parametrize('stop, weight', [([], 1), (STOPPED, 0.5)])
def test_the_readme_says_what_kl_weighs_in_the_held_out_loss(run, stop, weight):
    status, folder = run(SOLO, *SMALL, '--epochs', '1', '--set', 'kl_weight=0.5', *stop)
    assert status == 0, folder
    assert f'kl has weight 0.5; in `val_loss` {weight}.' in (folder / 'README.md').read_text()


def test_a_run_that_was_over_when_it_was_cut_off_does_not_go_on():
    row, images = replace(ROW, stop_after=1, limit=16), Images(np.zeros((16, 28, 28, 1), np.uint8))
    progress = phases.Progress(records(1, 2))
    assert [*loop.train(networks_of(row), images, images, row, cpu(), progress)] == []


def test_a_run_begins_with_anothers_parameters(run):
    status, first = run(COMBO, *SMALL, '--epochs', '1')
    name = f'{first.parent.name}/{first.name}'
    # So small a step leaves every weight as it is
    words = [*SMALL, '--epochs', '1', '--from', name, '--set', 'lr=1e-30']
    status, second = run(COMBO, *words, '--seed', '3')
    assert status == 0, second
    assert all(same(of(first, net), of(second, net)) for net in ('vae', 'disc'))
    config = run_folder.read_config(second)
    assert config['command'].endswith(f'--from {name}')
    assert config['row']['initial'] in second.name and "another run's" in config['caption']
    # A discriminator of another size begins anew
    status, third = run(COMBO, *words, '--set', 'disc_hnodes=7')
    assert status == 0, third
    assert same(of(first), of(third))
    assert third.name.split('from-')[1] != second.name.split('from-')[1]


def a_run_of(row, root) -> Path:
    """The folder of a run to begin with: a configuration, and files in place of parameters."""
    folder = root / naming.run_name(row)
    folder.mkdir(parents=True)
    run_folder.write_config(folder, {
        'run': naming.run_name(row), 'name': row.name, 'caption': '', 'command': '',
        'row': row.configuration(), 'n_train': 1, 'n_held_out': 1, 'device': 'cpu',
        'data': dict.fromkeys(run_folder.DATA_FIELDS, '')})
    (folder / 'training_statistics.csv').write_text('')  # as a finished run has
    for net in ('vae', 'disc'):
        (folder / f'{net}.params').write_text(net)
    return folder


def with_another(field, row):
    one, value = row.fields()[field], getattr(row, field)
    if choices := one.metadata['choices']:
        return replace(row, **{field: next(choice for choice in choices if choice != value)})
    step = 0.1 if isinstance(value, float) else 1
    return replace(row, **{field: 8 if value is None else value + step})


NETS = {'vae': models.VAES, 'disc': models.DISCRIMINATORS}
BUILT_FROM = {  # a row of each net, by each field that the net is built from
    (net, getattr(row, net), field): row for row in registry.EXPERIMENTS.values() for net in NETS
    if net == 'vae' or row.combo_epochs
    for field in NETS[net][getattr(row, net)].fields
    if field not in row.idle() and field not in initial.TAKEN_OVER}


@pytest.mark.parametrize('net, name, field', BUILT_FROM)
def test_every_field_of_a_net_makes_it_another(net, name, field, tmp_path, capsys):
    row = BUILT_FROM[net, name, field]
    folder, other = a_run_of(row, tmp_path), with_another(field, row)
    assert initial.files_of(row, folder).keys() == (
        {'vae', 'disc'} if row.combo_epochs else {'vae'})
    same_nets = initial.with_checksum(row, folder)
    assert capsys.readouterr().err == ''
    reason = f'({field} {getattr(row, field) or 64} there, {getattr(other, field)} here)'
    if field in models.VAES[row.vae].fields:
        with pytest.raises(registry.ExperimentError) as refused:
            initial.with_checksum(other, folder)
        assert str(refused.value) == f'--from {folder}: parameters of another net {reason}'
        return
    assert initial.files_of(other, folder).keys() == {'vae'}
    assert initial.with_checksum(other, folder).initial != same_nets.initial
    assert f'the VAE only, the discriminator begins anew {reason}' in capsys.readouterr().err


@pytest.mark.parametrize('name, change', [
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1', {'disc_base_channels': 64}),
    ('VAEGAN_on_MNIST/A_64_100', {'minibatch_dims': 7}),
    (COMBO, {'lr': 0.5, 'disc_weight': 7.0, 'step': 'shared', 'mirror': 'yes'})])
def test_what_changes_no_net_leaves_them_alike(name, change, tmp_path):
    row = registry.EXPERIMENTS[name]
    folder = a_run_of(row, tmp_path)
    assert initial.files_of(replace(row, **change), folder).keys() == {'vae', 'disc'}


@pytest.mark.parametrize('words, said', [
    (['--from', 'DenseVAE_on_MNIST/no'], 'unknown experiment'),
    (['--from', SOLO], 'no finished run there'),
    (['--set', 'initial=0123abcd'], 'found no --from'),
    ([*BEST, '--stop-after', '3'], "keep='best': expected no change, for stop_af")])
def test_bad_beginnings_are_one_line(run, tmp_path, words, said):
    status, err = run(SOLO, *SMALL, *words)
    assert status == 2 and err.splitlines()[-1].startswith('error: ') and said in err
    assert not any(tmp_path.iterdir())


def test_other_nets_and_lost_parameters_are_refused(run):
    _, first = run(SOLO, *SMALL, '--epochs', '1')
    words = ['--limit', '64', '--epochs', '2', '--from', f'{first.parent.name}/{first.name}']
    for other, said in (([], 'parameters of another net'),
                        (['vae=ConvVAE', 'vae_base_channels=8'], 'another net (vae '),
                        (['n_hnodes=16', 'initial=0123abcd'], f'found those of {first}')):
        status, err = run(SOLO, *words, *(word for one in other for word in ('--set', one)))
        assert status == 2 and said in err
    (first / 'vae.params').unlink()
    status, err = run(SOLO, *words, '--set', 'n_hnodes=16')
    assert status == 2 and 'vae.params: not there' in err
    assert [path.name for path in first.parent.iterdir()] == [first.name]
