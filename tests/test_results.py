"""What is committed: bands around the published losses, whole folders, a README that is true."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import mnist
from training.commands import parser
from training.commands.wiring import published_rows
from training.experiments import naming, registry
from training.reporting import pictures, run_readme, tables
from training.reporting.published import RESULTS
from training.reporting.statistics import STATISTICS, read_csv, read_statistics
from training.storage import run_folder
from training.studies import anime, convvae_flaws, learned_similarity, mixes, sharpness

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / 'results' / 'images'
README = (ROOT / 'README.md').read_text()
# Those that the README shows: a user's own runs stand beside them
RUNS = {run: folder for run, folder in run_folder.finished_runs(IMAGES).items()
        if f'results/images/{run}/{pictures.STRIP}' in README}
SOLO, L2 = 'DenseVAE_on_MNIST/5_3_400_bce_50', 'DenseVAE_on_MNIST/5_3_400_l2_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
PUBLISHED = published_rows()


@pytest.mark.parametrize('run, published, epoch, column, tolerance', [
    (SOLO, 108.1919, 40, 'vae_loss', 0.005),
    (L2, 28.6754, 40, 'vae_loss', 0.005),
    (COMBO, 118.3175, 49, 'vae_loss', 0.02), (COMBO, 0.35413, 49, 'disc_loss', 0.15),
    (f'{COMBO}_shared', 118.3175, 49, 'vae_loss', 0.02),
    (f'{COMBO}_shared', 0.35413, 49, 'disc_loss', 0.15),
])
def test_loss_is_within_the_band_of_the_published_one(run, published, epoch, column, tolerance):
    statistics = read_statistics(RUNS[run])
    assert len(statistics) == 50
    assert statistics[epoch][column] == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize('run', RUNS)
def test_result_folder_is_whole(run):
    folder = RUNS[run]
    row = run_folder.read_config(folder)['row']
    wanted = {pictures.STRIP, pictures.LOSSES, run_folder.CONFIG, STATISTICS, 'README.md', *(
        f'{i}.png' for i in range(10))}
    assert wanted <= {p.name for p in folder.iterdir()}
    statistics = read_statistics(folder)
    assert len(statistics) == row['solo_epochs'] + row['combo_epochs']
    assert all(np.isfinite(line.get('vae_loss', line.get('enc_loss'))) for line in statistics)


@pytest.mark.parametrize('run', RUNS)
def test_readme_of_a_result_folder_is_what_its_numbers_say(run, tmp_path):
    folder = shutil.copytree(RUNS[run], tmp_path / 'folder')
    run_readme.write_readme(folder, PUBLISHED.get(run_folder.read_config(folder)['name'], {}))
    assert (folder / 'README.md').read_text() == (RUNS[run] / 'README.md').read_text()


@pytest.mark.parametrize('run', RUNS)
def test_pictures_are_the_strip_in_pieces(run):
    strip = np.asarray(Image.open(RUNS[run] / pictures.STRIP))
    pieces = [np.asarray(Image.open(RUNS[run] / f'{i}.png')) for i in range(10)]
    side = pieces[0].shape[0]
    for i, piece in enumerate(pieces):
        left = i * (side + pictures.GAP)
        assert (strip[-side:, left:left + side] == piece).all()


def test_committed_runs_are_what_was_recorded(real_data_root, cli):
    """Their strips, too, where MNIST is at hand."""
    where = ['--data-root', str(real_data_root)] if real_data_root else []
    status, out, err = cli(['verify', *RUNS, *where, '--ctx', 'cpu'])
    assert status == 0, out + err
    if real_data_root and mnist.find(real_data_root):
        assert out.count(': ok') == len(RUNS) and out.count('strip drawn again') == sum(
            (folder / run_folder.PARAMETERS).exists() for folder in RUNS.values())


def test_readme_shows_the_numbers_of_the_runs(cli):
    status, table, _ = cli(['list', '--markdown'])
    in_full = {run for run, folder in RUNS.items()
               if run_folder.read_config(folder)['row']['limit'] is None}
    shown = [line for line in table.splitlines() if line and line.split(' ')[1] in in_full]
    assert status == 0 and len(shown) == len(in_full) >= 4
    for line in shown:
        assert line in README


def test_readme_shows_the_evaluations():
    found = {run: run_folder.read_evaluation(folder) for run, folder in RUNS.items()}
    digits = {run: found[run] for run in RUNS
              if run.startswith('Dense') and '_on_MNIST/' in run and found[run]}
    assert len(digits) == 4 and tables.evaluations(digits) in README


@pytest.mark.parametrize('title', anime.STUDIES)
def test_readme_shows_the_reduced_faces(title):
    lines = read_csv(RESULTS / 'gallery.csv')
    assert anime.block(title, lines) in README
    for line in lines:
        last = read_statistics(IMAGES / line['run'])[-1]
        assert all(float(line[loss]) == last[loss] for loss in ('vae_loss', 'val_loss')
                   if line[loss])


@pytest.mark.parametrize('title', learned_similarity.studies())
def test_readme_shows_the_vaegans(title):
    lines = read_csv(RESULTS / 'vaegan.csv')
    assert [line['run'] for line in lines] == [*map(naming.run_name, learned_similarity.rows())]
    assert learned_similarity.block(title, lines) in README
    for line in lines:
        last = read_statistics(IMAGES / line['run'])[-1]
        evaluation = run_folder.read_evaluation(IMAGES / line['run'])
        recorded = last | (evaluation['measures'] if evaluation else {})
        assert all(float(line[k]) == recorded[k] for k in learned_similarity.MEASURES
                   if line[k] and k != 'diversity')


@pytest.mark.parametrize('comparison', [sharpness, convvae_flaws])
def test_readme_shows_the_comparison(comparison):
    name = comparison.__name__.split('.')[-1]
    lines = read_csv(RESULTS / f'{name}.csv')
    assert [line['run'] for line in lines] == [*map(naming.run_name, comparison.rows())]
    assert comparison.markdown(lines) in README and f'(results/{name}.png)' in README
    for line in lines:
        measures = run_folder.read_evaluation(IMAGES / line['run'])['measures']
        assert all(float(line[k]) == measures[k] for k in line if k in measures)


def test_readme_shows_system_a_beside_its_logged_losses():
    name = 'VAEGAN_on_MNIST/A_64_25_grid_from-1_grid_every-1'
    curve = PUBLISHED['VAEGAN_on_MNIST/A_64_100']['curve']
    assert tables.losses_table(read_statistics(IMAGES / name), curve) in README


def test_readme_shows_the_times():
    lines = read_csv(RESULTS / 'timing.csv')
    assert mixes.table(lines) in README
    assert {line['kind'] for line in lines} == {mixes.ESTIMATE, mixes.MEASUREMENT}


def test_readme_shows_the_memory_of_every_row():
    from tests.benchmarks import memory
    lines = read_csv(RESULTS / 'memory.csv')
    assert [line['experiment'] for line in lines] == [*registry.EXPERIMENTS]
    assert memory.table(lines) in README
    assert all(float(line['ratio']) <= 1.05 for line in lines)  # or nets might not fit after all


def test_readme_names_files_that_exist():
    import re
    links = re.findall(r'\]\(([^)#:]+)\)', README)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link


def test_readme_names_every_command():
    for command in parser.COMMANDS:
        assert f'python -m training {command}' in README


def test_published_names_are_the_registrys():
    assert PUBLISHED.keys() <= registry.EXPERIMENTS.keys()
    assert [name for name, row in registry.EXPERIMENTS.items()
            if row.step != 'vaegan' and not name.endswith('_repaired')] == [
        line['name'] for line in read_csv(RESULTS / 'published.csv')]


def test_published_curves_end_with_the_published_loss():
    faces = [line for line in PUBLISHED.values() if line.get('data') == 'anime'
             and line['pub_vae_loss']]
    assert len(faces) == 26
    for line in faces:
        last = line['curve'][-1]
        assert len(line['curve']) == 27 and last['epoch'] == line['pub_last_epoch']
        for loss in ('vae_loss', 'disc_loss'):
            assert last[loss] == line[f'pub_{loss}']


@pytest.mark.parametrize('run', RUNS)
def test_config_speaks_of_no_machine(run):
    config = json.loads((RUNS[run] / run_folder.CONFIG).read_text())
    assert not [v for v in json.dumps(config).split('"') if v.startswith('/')]
