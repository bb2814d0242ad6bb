"""Where a training begins, on what, when it ends, and what it keeps."""
import json
import shutil
from dataclasses import replace
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

import models
from data.images import Images
from training.commands import initial
from training.commands.wiring import build_nets
from training.experiments import early_stopping, naming, registry
from training.reporting import page, published, verify
from training.reporting.statistics import read_statistics, write_statistics
from training.run import loop
from training.steps import phases, solo_combo
from training.steps.networks import make_networks
from training.storage import parameters, run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL = ['--set', 'n_hnodes=16', '--limit', '64']
CPU = [mx.cpu()]


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
    order = np.array([4, 0, 5, 2])
    both = Images(stored, layout, order).mirrored(3)
    chosen = stored[order[:3]]
    expected = np.concatenate([chosen, np.flip(chosen, 2)])
    assert len(both) == 6 and (both.pixels == expected).all()
    assert (both[np.array([5, 0, 3])] == Images(expected, layout)[np.array([5, 0, 3])]).all()
    assert (both.between(2, 4) == expected[2:4]).all()
    assert (stored[order[:3]] == chosen).all()  # what is stored stays


def test_training_on_mirror_images_is_training_on_both():
    stored = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
    row = replace(registry.EXPERIMENTS[SOLO], n_hnodes=8, batch_size=8, solo_epochs=2)
    both = np.concatenate([stored[:20], np.flip(stored[:20], 2)])
    losses = []
    for of_row, images in ((replace(row, mirror='yes', limit=20), stored), (row, both)):
        networks = make_networks(of_row, *build_nets(of_row, (1, 28, 28))[:2], (1, 28, 28), CPU)
        losses.append([record['vae_loss'] for record in loop.train(
            networks, Images(images), Images(stored), of_row, CPU)])
    assert losses[0] == losses[1] and phases.n_batches(40, replace(row, limit=20)) == 3
    assert phases.n_batches(40, replace(row, limit=20, mirror='yes')) == 5


def records(*losses):
    return [{'val_loss': loss} for loss in losses]


def test_a_run_is_over_after_epochs_without_a_new_low():
    row = replace(registry.EXPERIMENTS[SOLO], stop_after=2)
    assert not early_stopping.is_over(row, []) and early_stopping.is_new_low(row, records(3))
    assert not early_stopping.is_over(row, records(3, 2, 2.5))
    assert early_stopping.kept_epoch(row, records(3, 2, 2)) == 1
    assert early_stopping.is_over(row, records(3, 2, 2.5, 2))  # an equal one is no new low
    assert not early_stopping.is_over(row, records(3, 2, 2.5, 1.9))
    assert not early_stopping.is_new_low(row, records(3, 2, 2))
    best = replace(row, stop_after=None, keep='best')
    assert not early_stopping.is_over(best, records(1, 2, 3, 4))
    assert early_stopping.kept_epoch(best, records(3, 1, 2)) == 1
    assert early_stopping.is_new_low(best, records(3, 1))
    never = replace(row, stop_after=None)
    assert not early_stopping.is_over(never, records(1, 2, 3, 4))
    assert not early_stopping.is_new_low(never, records(1))
    assert early_stopping.kept_epoch(never, records(1, 2, 3)) == 2
    # An epoch without a held-out loss is never the best
    for losses, kept in (((5, None, 6), 0), ((None, 5), 1), ((None, None), 0), ((5, 5), 0)):
        assert early_stopping.kept_epoch(row, records(*losses)) == kept


@pytest.mark.parametrize('name, asked', [
    *((name, ['--stop-after', '2']) for name in (SOLO, COMBO)), (COMBO, ['--set', 'keep=best'])])
def test_the_best_epochs_parameters_are_kept(run, name, asked):
    words = [*SMALL, '--set', 'lr=0.02', '--set', 'batch_size=16']
    status, stopped = run(name, *words, '--epochs', '40', *asked)
    assert status == 0, stopped
    losses = [line['val_loss'] for line in read_statistics(stopped)]
    best = int(np.argmin(losses))
    if 'keep=best' in asked:
        assert best < 39 and len(losses) == 40 and '_keep-best' in stopped.name
    else:
        assert len(losses) == best + 3 < 40 and '_stop2' in stopped.name
    status, straight = run(name, *words, '--epochs', str(best + 1))
    assert status == 0, straight
    for net in ('vae', 'disc') if name == COMBO else ('vae',):
        assert same(of(stopped, net), of(straight, net))
    assert (stopped / 'strip.png').read_bytes() == (straight / 'strip.png').read_bytes()
    assert f'are of epoch {best}, which has the lowest `val_loss`' in (
        stopped / 'README.md').read_text()
    assert not [path for path in stopped.iterdir() if path.name.startswith('checkpoint')]


def ended(tmp_path_factory, data_root, *words) -> tuple:
    """What such a run printed, its folder, its statistics and where they are."""
    from contextlib import redirect_stdout
    from io import StringIO

    from training import __main__ as main
    root, printed = tmp_path_factory.mktemp('results'), StringIO()
    where = ['--results-root', str(root), '--data-root', str(data_root), '--ctx', 'cpu']
    with redirect_stdout(printed):
        assert main.main(['run', SOLO, *SMALL, '--set', 'lr=0.02', '--set', 'batch_size=16',
                          '--epochs', '40', *words, *where]) == 0
    folder, = run_folder.finished_runs(root).values()
    return printed.getvalue(), folder, read_statistics(folder), where


@pytest.fixture(scope='module')
def stopped(tmp_path_factory, data_root):
    return ended(tmp_path_factory, data_root, '--stop-after', '2')


@pytest.fixture(scope='module')
def best(tmp_path_factory, data_root):
    return ended(tmp_path_factory, data_root, '--set', 'keep=best')


@pytest.mark.parametrize('which, ended, differs', [
    ('stopped', 'Training stopped after {} of 40 epochs, 2 without a new low of the held-out loss',
     'at most 40 epochs'),
    ('best', 'Training went on for all {} epochs', 'keeps the best epoch')])
def test_which_epoch_was_kept_is_known_to_all_that_report_on_it(cli, request, tmp_path, which,
                                                                ended, differs):
    printed, folder, lines, where = request.getfixturevalue(which)
    kept = min(lines, key=lambda line: line['val_loss'])
    epoch, shown = f'{kept["epoch"]:.0f}', f'{kept["vae_loss"]:.2f}'
    said = f'{ended.format(len(lines))}; parameters and pictures are of epoch {epoch},'
    readme = (folder / 'README.md').read_text()
    assert kept is not lines[-1] and (len(lines) == 40) == (which == 'best')
    assert said in printed and said in readme and f'| {epoch} | solo | {shown} |' in readme
    status, out, _ = cli(['verify', *where])
    assert status == 0 and 'strip drawn again' in out and (
        f'{len(lines)} of 40 epochs,' if which == 'stopped' else '40 epochs,') in out
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
def test_statistics_of_another_end_are_wrong(stopped, tmp_path, change, message):
    folder = tmp_path / stopped[1].parent.name / stopped[1].name
    shutil.copytree(stopped[1], folder)
    write_statistics(folder, change(stopped[2]))
    run_folder.write_checksums(folder)
    assert message in str(verify.check(folder, {}))


def test_a_run_is_stopped_by_the_loss_that_it_minimises():
    """With as much weight of KL; without `stop_after` it has 1, whatever the row says."""
    images = Images(np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8))

    def held_out(kl_weight, stop_after=3, keep=None):
        row = replace(registry.EXPERIMENTS[SOLO], n_hnodes=8, kl_weight=kl_weight,
                      stop_after=stop_after, keep=keep)
        networks = make_networks(row, *build_nets(row, (1, 28, 28))[:2], (1, 28, 28), CPU)
        return solo_combo.held_out_losses(networks, images, row, CPU[0])['val_loss']
    pixel, kl = held_out(0.), held_out(1.) - held_out(0.)
    assert kl > 0 and held_out(100.) == pytest.approx(pixel + 100 * kl, rel=1e-4)
    assert held_out(1.) == held_out(1., None) == held_out(100., None)
    assert held_out(100.) == held_out(100., None, 'best')


@pytest.mark.parametrize('stop_after, weight', [(None, 1), (2, 0.5)])
def test_the_readme_says_what_kl_weighs_in_the_held_out_loss(run, stop_after, weight):
    stop = ['--stop-after', str(stop_after)] if stop_after else []
    status, folder = run(SOLO, *SMALL, '--epochs', '1', '--set', 'kl_weight=0.5', *stop)
    assert status == 0, folder
    assert f'kl has weight 0.5; in `val_loss` {weight}.' in (folder / 'README.md').read_text()


def test_a_run_that_was_over_when_it_was_cut_off_does_not_go_on():
    row = replace(registry.EXPERIMENTS[SOLO], stop_after=1, n_hnodes=8, limit=16)
    images = Images(np.zeros((16, 28, 28, 1), np.uint8))
    networks = make_networks(row, *build_nets(row, (1, 28, 28))[:2], (1, 28, 28), CPU)
    progress = phases.Progress(records(1, 2))
    assert [*loop.train(networks, images, images, row, CPU, progress)] == []


def test_a_run_begins_with_anothers_parameters(run):
    status, first = run(COMBO, *SMALL, '--epochs', '1')
    name = f'{first.parent.name}/{first.name}'
    # So small a step leaves every weight as it is
    status, second = run(COMBO, *SMALL, '--epochs', '1', '--seed', '3', '--from', name, '--set',
                         'lr=1e-30')
    assert status == 0, second
    for net in ('vae', 'disc'):
        before, after = of(first, net), of(second, net)
        assert same({k: v for k, v in before.items() if 'running' not in k},
                    {k: v for k, v in after.items() if 'running' not in k})
    config = run_folder.read_config(second)
    assert config['command'].endswith(f'--from {name}')
    assert config['row']['initial'] in second.name and "another run's" in config['caption']
    # A discriminator of another size begins anew
    status, third = run(COMBO, *SMALL, '--epochs', '1', '--from', name, '--set', 'lr=1e-30',
                        '--set', 'disc_hnodes=7')
    assert status == 0, third
    assert same(of(first), of(third)) and third.name.split('from-')[1] != second.name.split(
        'from-')[1]


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
    assert initial.files_of(row, folder).keys() == {'vae', 'disc'} - (
        set() if row.combo_epochs else {'disc'})
    initial.with_checksum(row, folder)
    assert capsys.readouterr().err == ''
    reason = f'({field} {getattr(row, field) or 64} there, {getattr(other, field)} here)'
    if field in models.VAES[row.vae].fields:
        with pytest.raises(registry.ExperimentError) as refused:
            initial.with_checksum(other, folder)
        assert str(refused.value) == (f'--from {folder}: parameters of '
                                      f'another net {reason}')
        return
    assert initial.files_of(other, folder).keys() == {'vae'}
    assert initial.with_checksum(other, folder).initial != (
        initial.with_checksum(row, folder).initial)
    assert f'the VAE only, the discriminator begins anew {reason}' in capsys.readouterr().err


@pytest.mark.parametrize('name, change', [
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1', {'disc_base_channels': 64}),
    ('VAEGAN_on_MNIST/A_64_100', {'minibatch_dims': 7}),
    (COMBO, {'lr': 0.5, 'disc_weight': 7.0, 'step': 'shared', 'mirror': 'yes'})])
def test_what_changes_no_net_leaves_them_alike(name, change, tmp_path):
    row = registry.EXPERIMENTS[name]
    folder = a_run_of(row, tmp_path)
    assert initial.files_of(replace(row, **change), folder).keys() == {'vae', 'disc'}


def test_another_vae_is_refused(tmp_path):
    row = registry.EXPERIMENTS[COMBO]
    folder = a_run_of(row, tmp_path)
    with pytest.raises(registry.ExperimentError, match='another net .vae .* there, '):
        initial.with_checksum(replace(row, vae='ConvVAE', vae_base_channels=8), folder)


def test_a_repeated_command_begins_with_the_same_parameters(run, cli):
    _, first = run(SOLO, *SMALL, '--epochs', '1')
    name = f'{first.parent.name}/{first.name}'
    _, second = run(SOLO, *SMALL, '--epochs', '2', '--from', name)
    words = run_folder.read_config(second)['command'].split()[4:]
    before = of(second)
    status, again = run(*words, '--force')
    assert status == 0 and again == second and same(of(again), before)


@pytest.mark.parametrize('words, said', [
    (['--from', 'DenseVAE_on_MNIST/no'], 'unknown experiment'),
    (['--from', SOLO], 'no finished run there'),
    (['--set', 'initial=0123abcd'], 'found no --from'),
    (['--stop-after', '0'], 'stop_after=0: expected'),
    (['--set', 'keep=last'], "keep='last': expected one of best"),
    (['--set', 'keep=best', '--stop-after', '3'], "keep='best': expected no change, for stop_af"),
    (['--set', 'mirror=perhaps'], 'one of no, yes')])
def test_bad_beginnings_are_one_line(run, tmp_path, words, said):
    status, err = run(SOLO, *SMALL, *words)
    assert status == 2 and err.splitlines()[-1].startswith('error: ') and said in err
    assert not any(tmp_path.iterdir())


def test_other_nets_and_lost_parameters_are_refused(run):
    _, first = run(SOLO, *SMALL, '--epochs', '1')
    name = f'{first.parent.name}/{first.name}'
    status, err = run(SOLO, '--limit', '64', '--epochs', '1', '--from', name)
    assert status == 2 and 'parameters of another net' in err
    status, err = run(SOLO, *SMALL, '--epochs', '2', '--from', name, '--set', 'initial=0123abcd')
    assert status == 2 and f'found those of {first}' in err
    (first / 'vae.params').unlink()
    status, err = run(SOLO, *SMALL, '--epochs', '2', '--from', name)
    assert status == 2 and 'vae.params: not there' in err
    assert [path.name for path in first.parent.iterdir()] == [first.name]
