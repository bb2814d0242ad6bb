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
from training.studies.study import Study

ANIME = [name for name, row in registry.EXPERIMENTS.items()
         if row.data == 'anime' and name in published_numbers() and row.step != 'vaegan']


def test_every_anime_row_is_in_a_study_and_trained_once_at_the_scale():
    assert {name for names in anime.COMPARED.values() for name in names} == set(ANIME)
    trained = [naming.run_name(row) for row in anime.STUDY.rows()]
    assert len(set(trained)) == len(trained)
    for name in ANIME:
        row = canonical.trained_row(registry.EXPERIMENTS[name])
        scaled = anime.at_scale(row)
        assert naming.run_name(scaled) in trained
        for field in ('disc_weight', 'pbp_weight', 'pbp_decay', 'lr', 'layout', 'shuffle_seed',
                      'vae', 'disc', 'pixel_loss', 'disc_hlayers', 'seed', 'limit', 'batch_size'):
            assert getattr(scaled, field) == getattr(row, field), (name, field)
        assert scaled.epochs == 16
        assert scaled.solo_epochs / scaled.epochs == row.solo_epochs / row.epochs
        # Names say no field that changes nothing
        assert (scaled.step == 'shared') == (row.combo_epochs > 0 and row.encodes)
        assert scaled.decay_interval == (25 if row.pbp_decay == 1 else 2)


def write_old_numbers(root) -> None:
    """Of before the parameters that are there, in the table and in all evaluations."""
    old = {'noise': 7.0, 'sharpness': 7.0}
    lines = read_csv(root / 'anime.csv')
    write_csv(root / 'anime.csv', anime.STUDY.columns, [line | old for line in lines])
    for line in lines:
        evaluation = run_folder.read_evaluation(root / line['run'])
        evaluation['measures'] |= old
        run_folder.write_evaluation(root / line['run'], evaluation)


def test_command_trains_measures_and_draws(cli, tmp_path, data_root, monkeypatch):
    """Two nets and two layouts, at a scale of seconds."""
    scale = anime.at_scale
    monkeypatch.setattr(anime, 'at_scale', lambda row: replace(
        scale(row), n_latent=4, vae_base_channels=2, limit=8, batch_size=8,
        disc=row.disc and 'ConvDisc', disc_base_channels=row.disc and 2,
        solo_epochs=min(1, row.solo_epochs), combo_epochs=min(1, row.combo_epochs)))
    monkeypatch.setattr(anime, 'COMPARED', {
        'Two': ['ConvDecoder_ResNet_on_anime/512_32_200', anime.TRANSPOSED]})
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']
    status, _, err = cli(['study', *where])
    assert status == 0, err
    gan, vae, transposed = read_csv(tmp_path / 'anime.csv')
    assert gan['mean_squared_error'] is None and float(gan['noise']) > 0
    assert 0 < float(vae['mean_squared_error']) < 1 and 'transpose' in transposed['run']
    assert np.asarray(Image.open(tmp_path / 'layout.png')).std() > 10
    status, text, err = cli(['study', '--markdown', '--results-root', str(tmp_path)])
    assert status == 0, err
    links = re.findall(r'src="([^"]+)"|\]\(([^)]+)\)', text)  # strips and READMEs
    assert len(links) == 8 and all((tmp_path / (a or b)).is_file() for a, b in links)
    before = (tmp_path / 'anime.csv').read_bytes()
    for change in (lambda: write_old_numbers(tmp_path),
                   (tmp_path / gan['run'] / 'vae.params').unlink):  # as in a fresh clone
        change()
        status, out, err = cli(['study', '--keep', *where])  # nothing is trained again
        assert status == 0 and 'epochs on cpu' not in out, out + err
        assert (tmp_path / 'anime.csv').read_bytes() == before
    status, out, err = cli(['study', *where])
    assert status == 0, err
    assert out.count('epochs on cpu') == 1 and (tmp_path / gan['run'] / 'vae.params').exists()


def test_markdown_of_a_study_without_a_table_says_how_to_make_it(cli, tmp_path):
    status, out, err = cli(['study', 'claim', '--markdown', '--results-root', str(tmp_path)])
    assert (status, out) == (2, '') and err == (
        f'error: {tmp_path / "claim.csv"}: not there; make it with: '
        f'python -m training study claim --results-root {tmp_path}\n')


def without_parameters(root, rows):
    """A root with the committed runs of these rows, without any parameters."""
    for run in map(naming.run_name, rows):
        shutil.copytree(RESULTS / 'images' / run, root / run,
                        ignore=shutil.ignore_patterns('*.params'))
    return ['--results-root', str(root), '--ctx', 'cpu']


def old_numbers(**numbers):
    """A table with other numbers than those of the folders."""
    return lambda path, columns: write_csv(path, columns, [
        line | numbers for line in read_csv(path)])


@pytest.mark.parametrize('name, change', [
    pytest.param('repairs', old_numbers(), id='table as it is'),
    pytest.param('vaegan', old_numbers(), id='VAE/GANs', marks=pytest.mark.slow),
    pytest.param('anime', old_numbers(vae_loss=1, solo_epochs=999), id='old statistics'),
    pytest.param('kl', old_numbers(psnr=1, ssim=1, kl=1, accuracy=1), id='old measures'),
    *(pytest.param(name, lambda path, columns: path.unlink(), id=f'no table of {name}')
      for name in ('claim', 'ways'))])
def test_committed_tables_come_again_from_a_clone_without_parameters(cli, tmp_path, name, change):
    """From the folders of runs, whatever an old table says."""
    study = STUDIES[name]
    where = without_parameters(tmp_path, study.rows())
    shutil.copy(RESULTS / study.table, tmp_path)
    change(tmp_path / study.table, study.columns)
    status, out, err = cli(['study', name, '--keep', *where])
    assert status == 0 and 'epochs on' not in out, err
    assert (tmp_path / study.table).read_bytes() == (RESULTS / study.table).read_bytes()
    assert (np.asarray(Image.open(tmp_path / study.figure))
            == np.asarray(Image.open(RESULTS / study.figure))).all()


@pytest.mark.parametrize('content', [None, b'run,seed\n', b'run\nnone\n', b'\xff\xfe'])
def test_run_without_parameters_and_without_measures_is_one_line(cli, tmp_path, content):
    row, *_ = anime.STUDY.rows()
    where = without_parameters(tmp_path, [row])
    (tmp_path / naming.run_name(row) / run_folder.EVALUATION).unlink()
    if content is not None:
        (tmp_path / 'anime.csv').write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    status, out, err = cli(['study', '--keep', *where])
    last = err.splitlines()[-1]
    assert status == 2 and 'epochs on' not in out and last.startswith('error: ')
    assert ('not a table' if content == b'\xff\xfe' else 'no measures to keep') in last
    assert {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()} == before


def test_study_is_one_module_and_one_line(cli, mnist_root, tmp_path, monkeypatch):
    """What a module defines, once it is in STUDIES, is a command, Markdown and on the page.

    With finished runs without parameters, and a VAE/GAN that is trained.
    """
    rows = {name: registry.EXPERIMENTS[f'DenseVAE_on_MNIST/5_3_400_{name}_50']
            for name in ('bce', 'l2')}
    where = without_parameters(tmp_path, rows.values())
    rows['learned'] = replace(
        registry.EXPERIMENTS['VAEGAN_on_MNIST/paper_5_3_400_1_200_50'], n_hnodes=8, disc_hnodes=8,
        limit=64, combo_epochs=1, disc_trained='no', disc_weight=0.0)
    monkeypatch.setitem(STUDIES, 'new', Study(
        'new', 'three losses', 'new.csv', ('run', 'psnr', 'noise', 'enc_loss', 'minutes'),
        'new.png', lambda: {'Three losses': rows},
        lambda compared, runs: '\n'.join(f'{label}: {line["psnr"]}'
                                         for label, (_, line) in compared.items()),
        lambda path, compared, lines, runs: path.write_text(' '.join(
            str(len(runs.statistics(row))) for row in compared['Three losses'].values()))))
    status, _, err = cli(['study', 'new', '--keep', *where, '--data-root', str(mnist_root)])
    assert status == 0, err
    lines = read_csv(tmp_path / 'new.csv')
    assert [line['run'] for line in lines] == [*map(naming.run_name, rows.values())]
    assert (lines[0]['psnr'], lines[0]['noise']) == ('17.65217294', '0.4260244')
    assert [line['enc_loss'] is None for line in lines] == [True, True, False]
    assert (tmp_path / 'new.png').read_text() == '50 50 1'
    assert cli(['study', 'new', '--markdown', *where])[1] == (
        '#### Three losses\n\nbce: 17.65217294\nl2: 16.42127666\n'
        f'learned: {lines[2]["psnr"]}\n')
    assert cli(['report', *where[:2]])[0] == 0
    assert '>Three losses</option>' in (tmp_path / 'index.html').read_text()
