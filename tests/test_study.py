"""The anime rows at one scale: what is reduced, and the command with a scale of minutes less."""
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training.experiments import canonical, naming, registry
from training.reporting.published import RESULTS, published_numbers
from training.reporting.statistics import read_csv, write_csv
from training.storage import run_folder
from training.studies import STUDIES, anime
from training.studies.study import Study, reduction

ANIME = [name for name, row in registry.EXPERIMENTS.items()
         if row.data == 'anime' and name in published_numbers() and row.step != 'vaegan']


def test_every_anime_row_is_in_a_study_and_trained_once_at_the_scale():
    shown = {name for names in anime.COMPARED.values() for name in names}
    assert shown == set(ANIME)
    trained = [naming.run_name(row) for row in anime.STUDY.rows()]
    assert len(set(trained)) == len(trained)
    for name in ANIME:
        row = canonical.trained_row(registry.EXPERIMENTS[name])
        assert naming.run_name(anime.at_scale(row)) in trained


@pytest.mark.parametrize('name', ANIME)
def test_scale_keeps_what_is_studied(name):
    row = registry.EXPERIMENTS[name]
    scaled = anime.at_scale(row)
    for field in ('disc_weight', 'pbp_weight', 'pbp_decay', 'lr', 'layout', 'shuffle_seed', 'vae',
                  'disc', 'pixel_loss', 'disc_hlayers', 'seed'):
        assert getattr(scaled, field) == getattr(row, field)
    assert scaled.epochs == 16
    assert scaled.solo_epochs / scaled.epochs == row.solo_epochs / row.epochs
    assert (scaled.limit, scaled.batch_size) == (None, 64)
    # Names say no field that changes nothing
    assert (scaled.step == 'shared') == (row.combo_epochs > 0 and row.encodes)
    assert scaled.decay_interval == (25 if row.pbp_decay == 1 else 2)


@pytest.fixture
def small(tmp_path, data_root, monkeypatch):
    """The study of two nets and two layouts at a scale of seconds, and the options for it."""
    scale = anime.at_scale
    names = ['ConvDecoder_ResNet_on_anime/512_32_200', anime.TRANSPOSED]
    monkeypatch.setattr(anime, 'at_scale', lambda row: replace(
        scale(row), n_latent=4, vae_base_channels=2, limit=8, batch_size=8,
        disc=row.disc and 'ConvDisc', disc_base_channels=row.disc and 2,
        solo_epochs=min(1, row.solo_epochs), combo_epochs=min(1, row.combo_epochs)))
    monkeypatch.setattr(anime, 'COMPARED', {'Two': names})
    return ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']


def write_old_numbers(root) -> None:
    """Of before the parameters that are there, in the table and in all evaluations."""
    old = {'noise': 7.0, 'sharpness': 7.0}
    lines = read_csv(root / 'anime.csv')
    write_csv(root / 'anime.csv', anime.STUDY.columns, [line | old for line in lines])
    for line in lines:
        evaluation = run_folder.read_evaluation(root / line['run'])
        evaluation['measures'] |= old
        run_folder.write_evaluation(root / line['run'], evaluation)


def test_command_trains_measures_and_draws(cli, tmp_path, small):
    status, _, err = cli(['study', *small])
    assert status == 0, err
    gan, vae, transposed = read_csv(tmp_path / 'anime.csv')
    assert gan['mean_squared_error'] is None and float(gan['noise']) > 0
    assert 0 < float(vae['mean_squared_error']) < 1 and 'transpose' in transposed['run']
    assert np.asarray(Image.open(tmp_path / 'layout.png')).std() > 10
    before = (tmp_path / 'anime.csv').read_bytes()
    for change in (lambda: write_old_numbers(tmp_path),
                   (tmp_path / gan['run'] / 'vae.params').unlink):  # as in a fresh clone
        change()
        status, out, err = cli(['study', '--keep', *small])  # nothing is trained again
        assert status == 0 and 'epochs on cpu' not in out, out + err
        assert (tmp_path / 'anime.csv').read_bytes() == before
    status, out, err = cli(['study', *small])
    assert status == 0, err
    assert out.count('epochs on cpu') == 1 and (tmp_path / gan['run'] / 'vae.params').exists()


@pytest.mark.slow
def test_strips_stand_in_tables_whose_links_lead_from_where_the_text_stands(cli, tmp_path, small):
    assert cli(['study', *small])[0] == 0
    status, text, err = cli(['study', '--markdown', '--results-root', str(tmp_path)])
    assert status == 0, err
    links = re.findall(r'src="([^"]+)"|\]\(([^)]+)\)', text)
    assert len(links) == 8 and all((tmp_path / (a or b)).is_file() for a, b in links)
    assert text.count('All runs have 16 epochs instead of 200') == 1 and 'NOT' not in text
    assert text.count('/strip.png" alt=') == 4 and text.count('| experiment |') == 2
    assert '[512_32_200](ConvDecoder_ResNet_on_anime/' in text


def test_markdown_of_a_study_without_a_table_says_how_to_make_it(cli, tmp_path):
    status, out, err = cli(['study', 'claim', '--markdown', '--results-root', str(tmp_path)])
    assert (status, out) == (2, '') and err == (
        f'error: {tmp_path / "claim.csv"}: not there; make it with: '
        f'python -m training study claim --results-root {tmp_path}\n')


def test_links_of_the_projects_own_results_lead_from_results(cli):
    for name in STUDIES:
        status, text, err = cli(['study', name, '--markdown'])
        assert status == 0, err
        links = re.findall(r'src="([^"]+)"|\]\(([^)]+)\)', text)
        assert all((RESULTS / (a or b)).is_file() for a, b in links)
        assert bool(links) == (name not in ('claim', 'ways')) and 'NOT' not in text
        assert len(links) > len(text.split('<img')) - 1 or not links


def without_parameters(root):
    """A copy of the committed results as a root of its own, without any parameters."""
    shutil.copytree(RESULTS / 'images', root, ignore=shutil.ignore_patterns(
        '*.params', f'*{run_folder.UNFINISHED}'))
    for study in STUDIES.values():
        shutil.copy(RESULTS / study.table, root)
    return root


def old_numbers(**numbers):
    """A table with other numbers than those of the folders."""
    return lambda path, columns: write_csv(path, columns, [
        line | numbers for line in read_csv(path)])


@pytest.mark.parametrize('name, change', [
    pytest.param('repairs', old_numbers(), id='table as it is'),
    pytest.param('vaegan', old_numbers(), id='VAE/GANs', marks=pytest.mark.slow),
    pytest.param('anime', old_numbers(vae_loss=1, solo_epochs=999), id='old statistics'),
    pytest.param('kl', old_numbers(psnr=1, ssim=1, kl=1, accuracy=1), id='old measures'),
    pytest.param('claim', lambda path, columns: path.unlink(), id='no table')])
def test_committed_tables_come_again_from_a_clone_without_parameters(cli, tmp_path, name, change):
    """From the folders of runs, whatever an old table says."""
    root, study = without_parameters(tmp_path / 'root'), STUDIES[name]
    change(root / study.table, study.columns)
    status, out, err = cli(['study', name, '--keep', '--results-root', str(root), '--ctx',
                            'cpu'])
    assert status == 0 and 'epochs on' not in out, err
    assert (root / study.table).read_bytes() == (RESULTS / study.table).read_bytes()
    assert (np.asarray(Image.open(root / study.figure))
            == np.asarray(Image.open(RESULTS / study.figure))).all()


@pytest.mark.parametrize('content', [None, 'run,seed\n', 'run\nnone\n', b'\xff\xfe'])
def test_run_without_parameters_and_without_measures_is_one_line(cli, tmp_path, content):
    root = without_parameters(tmp_path / 'root')
    (root / naming.run_name(anime.STUDY.rows()[0]) / run_folder.EVALUATION).unlink()
    path = root / 'anime.csv'
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = {p: p.read_bytes() for p in root.rglob('*') if p.is_file()}
    status, out, err = cli(['study', '--keep', '--results-root', str(root), '--ctx', 'cpu'])
    last = err.splitlines()[-1]
    assert status == 2 and 'epochs on' not in out and last.startswith('error: ')
    assert ('not a table' if isinstance(content, bytes) else 'no measures to keep') in last
    assert {p: p.read_bytes() for p in root.rglob('*') if p.is_file()} == before


def test_reduction_is_said_once_for_all_and_then_for_each():
    whole = registry.EXPERIMENTS['DenseVAE_on_MNIST/5_3_400_bce_50']
    few, seed = replace(whole, limit=64), replace(whole, limit=64, seed=1)
    assert reduction({'a': whole}) == 'All of these are whole experiments.'
    text = reduction({'a': few, 'b': seed})
    assert text.count('`limit` 64') == 1 and 'The run "b" besides has `seed` 1.' in text
    assert '"a"' not in text and '`limit` 64' in reduction({'a': whole, 'b': few})
    pictures = replace(registry.EXPERIMENTS['VAEGAN_on_MNIST/B_20_50'], grid_every=5)
    assert reduction({'a': pictures}) == 'All of these are whole experiments.'


def test_study_is_one_module_and_one_line(cli, tmp_path, monkeypatch):
    """What a module defines, once it is in STUDIES, is a command, Markdown and on the page."""
    root = without_parameters(tmp_path / 'root')
    rows = {name: registry.EXPERIMENTS[f'DenseVAE_on_MNIST/5_3_400_{name}_50']
            for name in ('bce', 'l2')}
    monkeypatch.setitem(STUDIES, 'new', Study(
        'new', 'two pixel losses', 'new.csv', ('run', 'psnr', 'noise', 'minutes'), 'new.png',
        lambda: {'Two pixel losses': rows},
        lambda compared, runs: '\n'.join(f'{label}: {line["psnr"]}'
                                         for label, (_, line) in compared.items()),
        lambda path, compared, lines, runs: path.write_text(' '.join(
            str(len(runs.statistics(row))) for row in compared['Two pixel losses'].values()))))
    where = ['--results-root', str(root)]
    status, _, err = cli(['study', 'new', '--keep', '--ctx', 'cpu', *where])
    assert status == 0, err
    lines = read_csv(root / 'new.csv')
    assert [line['run'] for line in lines] == [row.name for row in rows.values()]
    assert (lines[0]['psnr'], lines[0]['noise']) == ('17.65217294', '0.4260244')
    assert (root / 'new.png').read_text() == '50 50'
    assert cli(['study', 'new', '--markdown', *where])[1] == (
        '#### Two pixel losses\n\nbce: 17.65217294\nl2: 16.42127666\n')
    assert cli(['report', *where])[0] == 0
    assert '>Two pixel losses</option>' in (root / 'index.html').read_text()
