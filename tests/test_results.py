"""What is committed: bands around the published losses, whole folders, READMEs that are true."""
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import mnist
from tests import readmes
from training.commands.wiring import published_rows
from training.experiments import naming, registry
from training.reporting import pictures, tables, verify
from training.reporting.published import RESULTS
from training.reporting.statistics import read_csv, read_statistics
from training.storage import run_folder
from training.studies import kl, mixes, vaegan

ROOT, IMAGES = readmes.ROOT, readmes.IMAGES
RESULTS_README, LEARNED, BENCHMARKS = ((ROOT / name).read_text() for name in (
    'results/README.md', 'results/learned_similarity.md', 'tests/benchmarks/README.md'))
COMMITTED = run_folder.finished_runs(IMAGES)
# Those that the READMEs show: a user's own runs stand beside them
RUNS = {run: folder for run, folder in COMMITTED.items()
        if f'images/{run}/{pictures.STRIP}' in RESULTS_README + LEARNED}
SOLO, L2 = 'DenseVAE_on_MNIST/5_3_400_bce_50', 'DenseVAE_on_MNIST/5_3_400_l2_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
FACES = 'ConvVAE_on_anime/512_32_16_seeded_transpose_n_latent'
PUBLISHED = published_rows()
SCHEDULES = [row for name, row in vaegan.comparisons()[vaegan.QUARTER_TITLE].items()
             if name in vaegan.RATES]
MAX_TREE, MAX_DECODER = 130e6, 2e6  # bytes


def is_published(folder: Path) -> bool:
    """Whether a run is of a published row and not a repetition with another seed."""
    config = run_folder.read_config(folder)
    return config['name'] in registry.PUBLISHED and not config['row']['seed']


def kept_pictures(run: str, folder: Path) -> set[str]:
    """The files that a committed run keeps of those that `run` and `explore` draw.

    What a published folder has; what a page or schedules.png shows; the last samples.
    """
    row = run_folder.row_of(run_folder.read_config(folder), folder)
    there = {path.name for path in folder.iterdir()}
    samples = pictures.samples_in(folder)
    kept = {name for name in there if f'images/{run}/{name}' in RESULTS_README + LEARNED}
    kept |= {pictures.STRIP, pictures.CLASSES_CHART, *(path.name for path in samples[-1:])}
    if not row.seed:
        kept.add(pictures.LOSSES)
    if is_published(folder):
        kept |= {f'{i}.png' for i in range(10)}
    if row in SCHEDULES:
        kept |= {pictures.SAMPLES.format(n_epochs) for n_epochs in (5, 35, 65, 95)}
    if (folder / run_folder.PICTURES).exists() and (
            folder / run_folder.PICTURES).stat().st_size <= MAX_DECODER:
        kept.add(run_folder.PICTURES)
    return kept


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


@pytest.mark.parametrize('run', COMMITTED)
def test_configuration_is_read_and_named_as_its_folder(run):
    config = run_folder.read_config(COMMITTED[run])
    row = run_folder.row_of(config, COMMITTED[run])
    assert naming.run_name(row) == config['run'] == run
    assert {field: value for field, value in config['row'].items() if field in row.fields()} == {
        field: value for field, value in row.configuration().items() if field in config['row']}
    assert naming.command(row) == config['command'].removesuffix(' --skip-bad')


@pytest.mark.parametrize('run', RUNS)
def test_result_folder_is_what_was_recorded_and_speaks_of_no_machine(run):
    assert verify.check(RUNS[run], PUBLISHED).problems == []  # its README, too
    words = (RUNS[run] / run_folder.CONFIG).read_text().split('"')
    assert not [word for word in words if word.startswith('/')]


def in_git() -> list[Path]:
    """The files of this clone that git has; none without git."""
    if not shutil.which('git') or not (ROOT / '.git').exists():
        return []
    listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout
    return [path for name in listed.split('\0') if name and (path := ROOT / name).is_file()]


def test_clone_holds_what_somebody_opens():
    files = in_git() or pytest.skip('not a clone')
    assert sum(path.stat().st_size for path in files) <= MAX_TREE
    for run, folder in COMMITTED.items():
        drawn = {path.name for path in files if path.parent == folder and (
            path.suffix in ('.png', '.gif') or path.name == run_folder.PICTURES)}
        assert drawn <= kept_pictures(run, folder), run


@pytest.mark.parametrize('run', [run for run, folder in RUNS.items() if is_published(folder)])
def test_pictures_are_the_strip_in_pieces(run):
    strip, *pieces = (np.asarray(Image.open(RUNS[run] / name))
                      for name in (pictures.STRIP, *(f'{i}.png' for i in range(10))))
    side = pieces[0].shape[0]
    for i, piece in enumerate(pieces):
        left = i * (side + pictures.GAP)
        assert (strip[-side:, left:left + side] == piece).all()
    assert (RUNS[run] / pictures.LOSSES).exists()


def is_drawn_soon(run: str) -> bool:
    """Whether a run is one of those whose strips are drawn in the fast tier."""
    return run in (SOLO, COMBO, L2) or run.startswith(FACES)


@pytest.mark.parametrize('runs', [
    pytest.param([run for run in RUNS if is_drawn_soon(run)], id='some'),
    pytest.param([*RUNS], id='all', marks=pytest.mark.slow)])  # as .ci/run does
def test_committed_runs_are_what_was_recorded(real_data_root, cli, runs):
    """Their strips, too, where MNIST is at hand."""
    where = ['--data-root', str(real_data_root)] if real_data_root else []
    status, out, err = cli(['verify', *runs, *where, '--ctx', 'cpu'])
    assert status == 0 and len(runs) >= 4, out + err
    if real_data_root and mnist.find(real_data_root):
        assert out.count(': ok') == len(runs) and out.count('strip drawn again') == sum(
            run_folder.is_drawable(RUNS[run]) for run in runs)


def of_whole_size(folder: Path) -> bool:
    """Whether a run is a published row, but for how many epochs it has and its step.

    Not the middle one of the weights of KL, which stands in a table of theirs.
    """
    row = run_folder.row_of(run_folder.read_config(folder), folder)
    weights, = kl.comparisons().values()
    return (naming.changes(row).keys() <= naming.EPOCHS | {'step'}
            and row not in weights.values())


def test_readmes_show_the_numbers_of_whole_runs():
    """In blocks, which test_readmes.py compares; of rows that were added none are published."""
    whole = [run for run, folder in RUNS.items() if of_whole_size(folder)]
    assert len(whole) >= 4
    shown = ''.join(content for path in readmes.documents()
                    for _, content in readmes.blocks(path.read_text()))
    for run in whole:
        if run in registry.OURS and not run.startswith('VAEGAN'):
            assert f'(images/{run}/README.md)' in RESULTS_README
        else:
            assert f'| {run} |' in shown


def test_readme_shows_the_evaluations():
    found = {run: run_folder.read_evaluation(folder) for run, folder in RUNS.items()}
    digits = {run: found[run] for run in RUNS
              if run.startswith('Dense') and '_on_MNIST/' in run and found[run]
              and of_whole_size(RUNS[run])}
    assert len(digits) == 4 and tables.evaluations(digits) in RESULTS_README


def test_tables_that_no_command_prints_show_the_measures_beside_a_strip():
    pattern = r'^\| \[.*?\]\(images/(\S+)/README\.md\).*"images/\1/strip\.png".*> (\|.*)$'
    lines = re.findall(pattern, readmes.BLOCK.sub('', RESULTS_README), re.MULTILINE)
    assert len(lines) >= 9
    for run, shown in lines:
        cells = '| {mean_squared_error:.4f} | {sharpness:.2f} |'
        if '_on_MNIST/' not in run:
            cells += ' {active_latents} of {latents} |'
        assert shown == cells.format(**run_folder.read_evaluation(RUNS[run])['measures']), run


@pytest.mark.parametrize('name', ['anime', 'vaegan', 'claim', 'repairs', 'kl'])
def test_tables_of_studies_are_of_the_recorded_runs(name):
    lines, n_compared = read_csv(RESULTS / f'{name}.csv'), 0
    for line in lines:
        last = read_statistics(IMAGES / line['run'])[-1]
        evaluation = run_folder.read_evaluation(IMAGES / line['run'])
        recorded = evaluation['measures'] if evaluation else {}
        recorded = {k: last.get(k) for k in ('vae_loss', 'enc_loss', 'dec_loss', 'disc_loss',
                                             'val_loss', 'seconds')} | recorded
        for column in line.keys() & recorded.keys():
            if line[column] is not None and recorded[column] is not None:
                assert float(line[column]) == float(recorded[column]), (line['run'], column)
                n_compared += 1
    assert n_compared >= 3 * len(lines) > 0


@pytest.mark.parametrize('name, logged', [
    ('VAEGAN_on_MNIST/A_64_25', 'VAEGAN_on_MNIST/A_64_100'),
    ('VAEGAN_on_adult/A_2048_5_lr1', 'VAEGAN_on_adult/A_2048_100_lr1')])
def test_readme_shows_system_a_beside_its_logged_losses(name, logged):
    curve = PUBLISHED[logged]['curve']
    assert tables.losses_table(read_statistics(IMAGES / name), curve) in LEARNED


def test_readme_shows_the_times():
    lines = read_csv(RESULTS / 'timing.csv')
    assert mixes.table(lines) in RESULTS_README
    assert {line['kind'] for line in lines} == {mixes.ESTIMATE, mixes.MEASUREMENT}


def test_readme_shows_the_memory_of_every_row():
    from tests.benchmarks import memory
    lines = read_csv(RESULTS / 'memory.csv')
    assert {line['experiment'] for line in lines} <= registry.EXPERIMENTS.keys()
    assert registry.PUBLISHED <= {line['experiment'] for line in lines}
    assert memory.table(lines) in BENCHMARKS
    assert all(float(line['ratio']) <= 1.05 for line in lines)  # or nets might not fit after all


def test_published_names_are_the_registrys():
    assert PUBLISHED.keys() <= registry.EXPERIMENTS.keys()
    assert [name for name in registry.EXPERIMENTS if name in registry.PUBLISHED] == [
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
