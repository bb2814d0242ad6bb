"""The command line, end to end, on small idx files in a temporary folder."""
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import loading, table
from tests.processes import ROOT
from training import __main__ as main
from training.commands import demo, errors, parser, train
from training.experiments import canonical
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Experiment, VaeGan
from training.reporting import pictures, statistics
from training.run import progress_bar
from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SHORT = SOLO, '--epochs', '1', '--limit', '64'
FOLDER = 'DenseVAE_on_MNIST/5_3_400_bce_1_n64'  # of that run


@pytest.fixture
def run(on_digits, tmp_path):
    return lambda command, *words: on_digits(command, *words, '--results-root', tmp_path)


@pytest.fixture(scope='module')
def trained(tmp_path_factory, mnist_root) -> Path:
    """Results with a finished run."""
    root = tmp_path_factory.mktemp('trained')
    assert main.main(['run', *SHORT, '--results-root', str(root), '--data-root', str(mnist_root),
                      '--ctx', 'cpu']) == 0
    return root


@pytest.fixture
def finished(trained, tmp_path) -> Path:
    """The folder of that run, in results that a test may change."""
    return shutil.copytree(trained, tmp_path, dirs_exist_ok=True) / FOLDER


def contents(folder) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob('*'))
            if p.is_file()}


def test_run_writes_a_whole_result_folder(run, tmp_path):
    status, out, err = run('run', COMBO, '--epochs', '1+1', '--set', 'n_hnodes=16', '--set',
                           'disc_hnodes=8')
    assert status == 0, err
    folder = tmp_path / f'{COMBO[:-3]}_1+1_n_hnodes-16_disc_hnodes-8'
    assert str(folder) in out
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [f'{i}.png' for i in range(10)] + [
            'strip.png', 'losses.png', 'training_statistics.csv', 'config.json', 'README.md',
            'inputs.png', 'vae.params', 'disc.params', 'pictures.safetensors', 'SHA256SUMS'])
    assert re.findall(r'^epoch (\d \w+) vae_loss .* s \((\d of 2).*, [\d.]+ [MG]B\)$', out,
                      re.MULTILINE) == [('0 solo', '1 of 2'), ('1 combo', '2 of 2')]
    assert 'so far' not in err  # a line a minute only
    solo, combo = statistics.read_statistics(folder)
    assert (solo['phase'], combo['phase']) == ('solo', 'combo')
    assert solo['disc_loss'] is None and combo['disc_loss'] > 0
    assert combo['vae_loss'] == pytest.approx(
        combo['kl'] + combo['pixel'] + combo['adversarial'], rel=1e-5)
    config = run_folder.read_config(folder)
    assert config['row']['n_hnodes'] == 16 and config['seed'] == 0
    assert len(config['data']['sha256']) == 64
    readme = (folder / 'README.md').read_text()
    assert 'NOT the published experiment' in readme
    assert '[inputs.png](inputs.png) has the first training' in readme


def test_pictures_are_plain_pixels_scaled_up(finished, tmp_path, mnist_root):
    digits = loading.load('MNIST', mnist_root)
    sheet = np.asarray(Image.open(finished / 'inputs.png'))
    assert sheet.shape == (2 * 60 - 4, 10 * 60 - 4)  # of 28 pixels, each twice
    for i, image in enumerate(digits.train.first(20)[..., 0]):
        row, column = divmod(i, 10)
        assert (sheet[60 * row:60 * row + 56:2, 60 * column:60 * column + 56:2] == image).all()
    strip, test = np.asarray(Image.open(finished / 'strip.png')), digits.test.pixels[:10, ..., 0]
    for i in range(10):
        original = np.asarray(Image.open(tmp_path / f'MNIST_test_images/{i}.png'))
        assert (original == np.kron(test[i], np.ones((4, 4), np.uint8))).all()
        picture = np.asarray(Image.open(finished / f'{i}.png'))
        assert (picture == np.kron(picture[::4, ::4], np.ones((4, 4), np.uint8))).all()
        left = i * (112 + pictures.GAP)
        assert (strip[:112, left:left + 112] == original).all()
        assert (strip[112 + pictures.GAP:, left:left + 112] == picture).all()


def test_strips_draws_the_same_pictures_again(run, finished):
    before = contents(finished)
    for picture in finished.glob('*.png'):
        if picture.name != 'inputs.png':  # of training alone
            picture.unlink()
    status, out, _ = run('strips', FOLDER)
    assert status == 0 and str(finished / 'strip.png') in out
    assert contents(finished) == before


def test_finished_run_is_not_overwritten(run, finished, tmp_path):
    before = contents(tmp_path)
    status, _, err = run('run', *SHORT)
    assert status == 2 and '--force' in err
    assert run('run', '--match', *SHORT)[0] == 0
    assert contents(tmp_path) == before


def test_a_stopped_command_goes_on_to_replace_its_runs(run, tmp_path, monkeypatch):
    command = 'run', *SHORT, '--set', 'n_latent=2,3', '--force'
    assert run(*command)[0] == 0
    first, second = sorted(tmp_path.glob('*/*n_latent*'))
    finish = run_folder.finish

    def stop_the_second(folder, final):
        assert final != second, 'stopped'
        finish(folder, final)

    def stopped(place=run_folder, at='finish', instead=stop_the_second):
        with monkeypatch.context() as patched, pytest.raises(AssertionError, match='stopped'):
            patched.setattr(place, at, instead)
            run(*command)
    stopped()
    written = (first / 'vae.params').stat().st_mtime_ns
    status, out, err = run(*command)
    assert status == 0 and out.count('replaced already') == 1 and 'going on after' in out, err
    assert (first / 'vae.params').stat().st_mtime_ns == written
    assert not [*tmp_path.glob('*/*/.job')]
    stopped()  # the first is replaced once more: nothing had been left unfinished
    assert (first / 'vae.params').stat().st_mtime_ns > written
    assert 'replaced already' not in run(*command, '--fresh')[1]
    stopped(train, '_measured', lambda *_: stop_the_second(None, second))
    status, out, _ = run(*command)
    assert status == 0 and out.count('replaced already') == 2 and ', 3 latents |' in out
    failing = '--epochs', 2, '--limit', 64, '--set', 'n_hnodes=8', '--set', 'lr=1e-2,1e8'
    assert run('run', SOLO, *failing, '--force')[0] == 2  # that ends it, too
    assert not [*tmp_path.glob('*/*/.job')]


def test_failed_run_leaves_nothing_that_looks_finished(run, finished, tmp_path, monkeypatch):
    before = contents(tmp_path)
    monkeypatch.setattr(pictures, 'write_pictures', lambda *_: 1 / 0)
    for words in (['--epochs', 2], ['--force']):
        with pytest.raises(ZeroDivisionError):
            run('run', *SHORT, *words)
    assert before == {p: c for p, c in contents(tmp_path).items()
                      if not any(part.endswith('.unfinished') for part in p.parts)}
    assert {*run_folder.finished_runs(tmp_path)} == {FOLDER}


def test_dry_run_prints_the_row_and_writes_nothing(run, tmp_path):
    status, out, _ = run('run', COMBO, '--epochs', 2, '--step', 'shared', '--dry-run')
    [row] = json.loads(out)
    assert status == 0 and row['run'] == COMBO.replace('_50', '_2_shared')
    assert row['step'] == 'shared' and row['combo_epochs'] == 2
    _, out, err = run('run', 'ConvVAE_ResNet_on_anime/512_32_200_10_1', '--epochs', '100+100',
                      '--dry-run')  # is another published row
    assert json.loads(out)[0]['run'] == 'ConvVAE_ResNet_on_anime/512_32_100+100_10_1'
    assert 'same configuration' in err and not list(tmp_path.iterdir())


GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
VAEGAN = 'VAEGAN_on_MNIST/A_64_100'


@pytest.mark.parametrize('name, changes, count', [
    (SOLO, ['step=shared', 'layout=transpose', 'shuffle_seed=5', 'decay_interval=3'], False),
    (COMBO, ['layout=transpose', 'shuffle_seed=none', 'decay_interval=3'], False),
    (VAEGAN, ['layout=transpose', 'shuffle_seed=5'], False),
    (GAN, ['step=shared', 'decay_interval=3'], False),
    (COMBO, ['step=shared'], True), (COMBO, ['limit=60000'], True),
    (GAN, ['layout=transpose'], True),
    ('ConvVAE_ResNet_on_anime/512_32_200_10_1_decay0.9', ['decay_interval=3'], True),
    ('ConvVAE_on_anime/512_32_200_seeded', ['shuffle_seed=5'], True)])
def test_changes_show_in_a_runs_name_unless_they_do_nothing(cli, name, changes, count):
    options = [word for change in changes for word in ('--set', change)]
    status, out, err = cli(['run', name, *options, '--dry-run'])
    assert status == 0 and (json.loads(out)[0]['run'] != name) == count
    left_out = re.findall(r'^\S+: (\w+)=\S+ changes nothing, for .*: left out$', err, re.MULTILINE)
    assert len(left_out) == len(err.splitlines())
    assert sorted(left_out) == sorted(change.split('=')[0] for change in changes if not count)


@pytest.mark.parametrize('pattern, names, runs', [
    ('VAEGAN_on_MNIST/A_64_25', ['VAEGAN_on_MNIST/A_64_100'], ['VAEGAN_on_MNIST/A_64_25']),
    ('*_bce_10_seed[12]', [SOLO], [f'{SOLO[:-3]}_10_seed1', f'{SOLO[:-3]}_10_seed2'])])
def test_list_finds_finished_runs_by_their_names(cli, pattern, names, runs):
    status, out, _ = cli(['list', '--match', pattern, '--json'])
    lines = json.loads(out)
    assert status == 0 and [line['name'] for line in lines] == names
    assert [variant['name'] for line in lines for variant in line['variants']] == runs
    status, _, err = cli(['list', '--match', f'{pattern}x'])
    assert status == 2 and err.startswith('error: no experiment or finished run matches')


def test_list_shows_published_and_our_numbers_under_both_names(cli, tmp_path):
    twins = ['ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
             'ConvVAE_ResNet_on_anime/512_32_200_10_1']
    folder = tmp_path / twins[0]
    folder.mkdir(parents=True)
    config = {field: kind() for field, kind in run_folder.CONFIG_FIELDS.items()}
    run_folder.write_config(folder, config | {'data': dict.fromkeys(run_folder.DATA_FIELDS, '')})
    statistics.write_statistics(folder, [
        {'epoch': i, 'phase': 'combo', 'vae_loss': 6900.25 + 199 - i, 'seconds': 12.0}
        for i in range(200)])
    status, out, _ = cli(['list', '--json', '--results-root', str(tmp_path)])
    lines = {line['name']: line for line in json.loads(out)}
    assert status == 0 and {
        name: line['trained_as'] or name for name, line in lines.items()} == {
        name: canonical.trained_row(row).name for name, row in EXPERIMENTS.items()}
    assert [lines[name]['our_vae_loss'] for name in twins] == [6900.25] * 2
    assert lines[twins[1]]['published_vae_loss'] == pytest.approx(6829.60254)
    text = ' '.join(cli(['list', '--results-root', str(tmp_path)])[1].split())
    assert '6900.25' in text
    assert [twins[0]] == re.findall(r'same configuration as (\S+), trained as that', text)


@pytest.mark.parametrize('run', ['DenseVAE_on_MNIST/5_3_400_bce_50',
                                 'VAEGAN_on_MNIST/paper_5_3_400_1_200_50'])
def test_runs_from_before_a_column_was_added_are_listed(cli, tmp_path, run):
    """As are those that have one of which this version knows nothing."""
    images = ROOT / 'results' / 'images'
    folder = shutil.copytree(images / run, tmp_path / run)
    before, path = statistics.read_statistics(folder), folder / statistics.STATISTICS
    lines = [{name: value for name, value in line.items()
              if name not in ('disc_fake_accuracy', 'val_loss')} | {'of_tomorrow': '1'}
             for line in statistics.read_csv(path)]
    statistics.write_csv(path, tuple(lines[0]), lines)
    for line, old in zip(statistics.read_statistics(folder), before, strict=True):
        assert line['of_tomorrow'] == 1 and line['disc_fake_accuracy'] is None
        assert all(line[name] == old[name] for name in lines[0].keys() & old.keys())
    whole, old = (
        next(line for line in json.loads(cli(['list', '--match', run, '--json', '--results-root',
                                              str(root)])[1]) if line['name'] == run)
        for root in (images, tmp_path))
    assert old | {'variants': whole['variants']} == whole and whole['our_seconds'] > 0


@pytest.mark.parametrize('columns', ['', '60', '200'])
def test_list_folds_to_the_terminal_and_keeps_names_whole(cli, monkeypatch, columns):
    monkeypatch.setenv('COLUMNS', columns)
    status, out, _ = cli(['list'])
    lines = out.splitlines()
    assert status == 0 and EXPERIMENTS.keys() <= set(lines)
    assert max(len(line) for line in lines if line not in EXPERIMENTS) <= int(columns or 80)
    assert 'at epoch 40: VAE loss 108.20 (published 108.19)' in ' '.join(out.split())
    assert '10 epochs, seed 1: at epoch 9: VAE loss 114.99' in ' '.join(out.split())


def test_demo_compares_solo_and_combo_and_goes_on_where_it_was_stopped(run, monkeypatch):
    monkeypatch.setattr(demo, 'EPOCHS', 1)
    finish, (status, whole, err) = run_folder.finish, run('demo')
    assert status == 0 and 'MNIST' in err, err
    assert '| sharpness, held out |' in whole and 'discriminator loss' in whole

    def shown(out: str) -> list[str]:
        return [line.strip() for line in out.splitlines()
                if 'strip.png' in line or 'held out' in line]
    assert [Image.open(line).size for line in shown(whole) if line.endswith('strip.png')] == [
        (1156, 228)] * 2

    def stop_the_second(folder, final):
        assert 'LogReg' not in str(final), 'stopped'
        finish(folder, final)
    with monkeypatch.context() as patched, pytest.raises(AssertionError, match='stopped'):
        patched.setattr(run_folder, 'finish', stop_the_second)
        run('demo')  # over its own results
    status, out, err = run('demo')
    assert status == 0 and 'finished before the demo was stopped' in err
    assert out.count(': 1 epoch') == 1  # not the first one again
    assert shown(out) == shown(whole)
    assert 'finished before' not in run('demo')[2]


@pytest.mark.parametrize('words, is_said', [([], False), (['--results-root', 'tpyo'], True)])
def test_list_says_where_there_are_no_results(cli, monkeypatch, tmp_path, words, is_said):
    monkeypatch.chdir(tmp_path)
    status, out, err = cli(['list', *words])
    assert status == 0 and SOLO in out
    assert err == ('tpyo: no such folder, so no finished runs\n' if is_said else '')


def test_demo_falls_back_to_drawn_digits_and_says_so(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'EPOCHS', 1)
    monkeypatch.setattr(demo, 'IMAGES', 64)
    monkeypatch.setitem(table.SETS, 'sketch_digits', replace(
        table.SETS['sketch_digits'], n_train=128, n_test=20))
    status, out, err = cli(['demo', '--results-root', str(tmp_path), '--ctx', 'cpu'])
    assert status == 0, err
    assert 'NOT on MNIST' in err and '_on_sketch_digits' in out
    assert not any('on_MNIST' in str(p) for p in tmp_path.rglob('*'))


@pytest.mark.parametrize('arguments, message', [
    (['run', 'DenseVAE_on_MNIST/5_3_400_bce_51'], 'near names: DenseVAE_on_MNIST/5_3_400_bce_50'),
    (['run', SOLO, '--epochs', 'many'], "--epochs 'many': expected N"),
    (['run', SOLO, '--set', 'depth=3'],
     'expected field=value with a field of data, image_size, layout'),
    (['run', SOLO, '--set', 'vae=VAE'], 'unknown net'),
    (['run', SOLO, '--seed', 'x'], "seed='x': expected a whole number"),
    (['run', SOLO, '--ctx', 'gpu'], 'gpu'),
    (['run', SOLO, '--set', 'vae=ConvVAE'], 'vae_base_channels'),
    (['run', COMBO, '--set', 'disc=Net'], 'expected one of '),
    (['run', SOLO, '--checkpoint-minutes', '0'], "minutes: '0': expected a number above 0"),
    (['run', SOLO, '--checkpoint-minutes', 'nan'], "minutes: 'nan': expected a number above 0"),
    (['run', ''], "unknown experiment ''"),
    (['run', SOLO, '--set', 'vae_base_channels=8'],
     'vae_base_channels=8: DenseVAE has no such thing; expected one of n_hlayers, n_hnodes, n_la'),
    (['run', SOLO, '--set', 'encoder=strided'], "encoder='strided': DenseVAE has no such thing"),
    (['run', GAN, '--set', 'pixel_loss=bce'], "vae='ConvDecoder': expected a net with an encoder"),
    (['run', SOLO, '--set', 'pixel_loss=none'], 'solo_epochs=50: expected 0, or a pixel_loss'),
    (['run', COMBO, '--set', 'pixel_loss=none'], "vae='DenseVAE': expected a decoder alone, or a"),
    (['run', SOLO, '--set', 'grid_every=1'],
     f"'grid_every=1': expected no change, for {SOLO} has no such field"),
    (['run', SOLO, '--depth', '3'], 'unrecognized arguments: --depth 3'),
    (['run'], 'one of the arguments NAME --match is required'),
    (['strips', '--match', '*'], 'no finished run'),
    (['strips', SOLO], '); make one with: python -m training run'),
    (['strips', 'nothing'], 'unknown experiment'),
])
def test_bad_input_is_one_line_and_changes_nothing(cli, capsys, mnist_root, tmp_path, arguments,
                                                   message):
    where = ['--data-root', str(mnist_root), '--results-root', str(tmp_path)]
    try:
        status, _, err = cli([*arguments, *where])
    except SystemExit as stop:  # argparse's
        status, err = stop.code, capsys.readouterr().err
    error = [line for line in err.splitlines() if line.startswith('error: ')]
    assert status == 2 and len(error) == 1 and message in error[0]
    assert not list(tmp_path.iterdir())


def test_results_root_that_cannot_be_written_is_one_line(on_digits, tmp_path):
    occupied = tmp_path / 'file'
    occupied.write_text('mine')
    status, _, err = on_digits('run', *SHORT, '--results-root', occupied)
    assert status == 2 and str(occupied) in err.splitlines()[-1]
    assert occupied.read_text() == 'mine'


@pytest.mark.parametrize('damage, message', [
    (lambda p: p.write_bytes(p.read_bytes()[:-100]), 'not a whole parameter file'),
    (lambda p: p.write_bytes(p.read_bytes().replace(b'encoder.0', b'encoder.9')), 'another net'),
    (lambda p: (p.unlink(), p.with_name('pictures.safetensors').unlink()),
     'make them with: python -m training run .* --results-root {} --force$')])
def test_damaged_parameters_are_one_line(run, finished, tmp_path, damage, message):
    damage(finished / 'vae.params')
    before = contents(tmp_path)
    status, _, err = run('strips', FOLDER)
    assert status == 2 and re.search(message.format(tmp_path), err.splitlines()[-1])
    assert contents(tmp_path) == before


def test_strips_of_many_passes_over_runs_without_parameters(run, finished):
    assert run('run', SOLO, '--epochs', 2, '--limit', 64)[0] == 0
    for name in ('vae.params', 'pictures.safetensors'):
        (finished / name).unlink()
    status, out, err = run('strips', '--match', '*')
    assert status == 0 and f'{finished}: passed over, it has no vae.params' in err
    assert out == f'{finished.with_name("5_3_400_bce_2_n64") / "strip.png"}\n'


def test_run_goes_on_with_the_same_data_only(run, cli, tmp_path, data_root, cut_off, monkeypatch):
    """And says on which devices it was trained."""
    cut_off(run, 'run', *SHORT)
    before = contents(tmp_path)
    status, _, err = cli(['run', *SHORT, '--results-root', str(tmp_path), '--data-root',
                          str(data_root)])
    assert status == 2 and 'begun with another data (' in err and '--fresh starts over' in err
    assert contents(tmp_path) == before
    monkeypatch.setenv('OMP_NUM_THREADS', '77')
    assert run('run', *SHORT)[0] == 0
    assert run_folder.read_config(tmp_path / FOLDER)['device'].endswith(', then cpu (77 threads)')


@pytest.mark.parametrize('error, line', [
    (PermissionError(13, 'Permission denied', '/memory/runs'), '/memory/runs: Permission denied'),
    (OSError(12, 'Cannot allocate memory', '/x'), 'not enough memory'),
    (RuntimeError('std::bad_alloc'), 'not enough memory'), (ValueError('memory'), 'memory')])
def test_only_what_lacks_memory_says_so(error, line):
    assert errors.one_line(error) == line


def test_line_a_minute_says_where_an_epoch_is(run, monkeypatch):
    monkeypatch.setattr(progress_bar, 'LINE_SECONDS', 0.0)
    status, out, err = run('run', SOLO, '--epochs', 2, '--limit', 160)
    lines = [line for line in err.splitlines() if 'so far' in line]
    assert status == 0 and len(lines) == 6
    assert len([line for line in out.splitlines() if line.startswith('epoch ')]) == 2
    assert re.fullmatch(r'epoch 1 solo: batch 2 of 3, vae_loss \d+(\.\d+)? .*so far '
                        r'\(2 of 2\)', lines[4])


@pytest.mark.parametrize('seconds, epoch, left', [
    (600.0, 0, ', 90 min left'), (600.0, 8, ', 10 min left'), (600.0, 9, ''), (5.0, 0, ''),
    (7200.0, 3, ', 12.0 h left')])
def test_line_of_an_epoch_says_how_long_the_rest_takes(capsys, monkeypatch, seconds, epoch, left):
    monkeypatch.setattr(progress_bar.memory, 'peak', lambda: '1.5 GB')
    bar = progress_bar.ProgressBar(10)
    bar.on_epoch({'epoch': epoch, 'phase': 'solo', 'vae_loss': 1.0, 'val_loss': None,
                  'seconds': seconds})
    assert capsys.readouterr().out == (
        f'epoch {epoch} solo vae_loss 1.0000 {seconds} s ({epoch + 1} of 10{left}, 1.5 GB)\n')


def help_of(command: str, capsys) -> str:
    with pytest.raises(SystemExit) as stop:
        main.main([command, '--help'])
    assert stop.value.code == 0
    return ' '.join(capsys.readouterr().out.split())


@pytest.mark.parametrize('command', parser.COMMANDS)
def test_help_shows_an_example(capsys, command):
    assert f'example: python -m training {command}' in help_of(command, capsys)


def test_help_of_run_explains_every_field_and_names_every_net(capsys):
    text = help_of('run', capsys)
    for row in (Experiment, VaeGan):
        for name, one in row.fields().items():
            assert f'{name} {" ".join(one.metadata["meaning"].split())} (' in text, name
    assert 'n_latent latents (a whole number from 1 to 1048576)' in text
    assert '(reshape, transpose; default reshape)' in text
    assert '(a number from 0; default 1.0)' in text
    assert {net for row in EXPERIMENTS.values() for net in (row.vae, row.disc) if net} <= {
        *text.replace(',', ' ').split()}


@pytest.mark.parametrize('typed, stands, said', [
    (['.venv/bin/python', '-m', 'training'], '.', '.venv/bin/python -m training'),
    (['python', '-m', 'training'], '.', 'python -m training'),
    (['/a b/python', '-X', 'dev', '-m', 'training'], '.', "'/a b/python' -X dev -m training"),
    (['/x/.venv/bin/python', '-c', 'import runpy'], '.', '{vaegan}'),
    (['/usr/bin/python3', '/usr/bin/vaegan'], '.', '{vaegan}'),
    (['.venv/bin/python', '-m', 'training'], '..', '{vaegan}')])  # by make -C
def test_commands_are_said_as_they_work_where_the_user_stands(monkeypatch, tmp_path, capsys,
                                                              typed, stands, said):
    vaegan = tmp_path / 'vaegan'
    vaegan.write_text('')
    where = ['--results-root', str(tmp_path)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PWD', str((tmp_path / stands).resolve()))
    monkeypatch.setattr('sys.executable', str(vaegan.with_name('python')))
    said = said.format(vaegan=vaegan)
    again = f'{said} run {SOLO} {shlex.join(where)}'
    for words, expected in ((['strips', SOLO], f'make one with: {again}'),
                            (['strips'], f'({said} strips --help shows how)')):
        monkeypatch.setattr('sys.argv', ['training', *words, *where])
        monkeypatch.setattr('sys.orig_argv', [*typed, *words, *where])
        try:
            status = main.main()
        except SystemExit as stop:  # argparse's
            status = stop.code
        assert status == 2 and capsys.readouterr().err.endswith(f'{expected}\n')
