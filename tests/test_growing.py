"""Records that grow: runs from before a field or a column came are read, and stay as they are."""
import shutil

import pytest

from training.experiments import kinds
from training.reporting.published import RESULTS
from training.reporting.statistics import STATISTICS, read_statistics
from training.steps import phases
from training.storage import run_folder

IMAGES = RESULTS / 'images'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
VAEGAN = 'VAEGAN_on_MNIST/paper_5_3_400_1_200_50'
OF_EACH_KIND = COMBO, VAEGAN, *(run for run in run_folder.finished_runs(IMAGES)
                                if run.startswith('ConvDecoder'))
SMALL = ['--limit', '96', '--set', 'n_hnodes=8', '--set', 'disc_hnodes=8']


@pytest.fixture
def run(on_digits, tmp_path):
    def call(folder, *words):
        status, out, err = on_digits('run', *words, *SMALL, '--results-root', tmp_path / folder)
        assert status == 0, err
        return tmp_path / folder / out.splitlines()[-1]
    return call


def test_a_column_more_is_one_change(run, cli, tmp_path, monkeypatch):
    """All committed runs are listed as before; those of each kind are whole, and so their page."""
    root = tmp_path / 'results'
    for name in OF_EACH_KIND:
        shutil.copytree(IMAGES / name, root / 'images' / name)
    where = ['--results-root', str(root / 'images')]

    def told() -> list[str]:
        page = cli(['report', *where])[1].strip()
        listed, verified = cli(['list', '--json', '--results-root', str(IMAGES)]), cli([
            'verify', *OF_EACH_KIND, *where, '--ctx', 'cpu'])
        assert listed[0] == verified[0] == 0 and verified[1].count(': ok') == len(OF_EACH_KIND)
        assert 'disc_warmup' not in open(page).read()
        return [open(page).read(), listed[1], verified[1]]

    before = told()
    for kind in kinds.KINDS:
        monkeypatch.setitem(vars(kind), 'watched', (*kind.watched, 'extra'))
    assert told() == before
    for name in (COMBO, VAEGAN):
        line = read_statistics(run('new', name, '--epochs', '1'))[0]
        assert line['extra'] is None and [*line][-2:] == ['extra', 'seconds']


def test_run_from_before_the_weights_were_recorded_goes_on(run, monkeypatch):
    words = [COMBO, '--epochs', '1+1', '--set', 'disc_warmup=2', '--set', 'pbp_weight=2',
             '--keep-checkpoint']
    with monkeypatch.context() as older:
        older.setitem(vars(kinds.SOLO_COMBO), 'watched', ('val_loss',))
        older.setitem(phases.AROUND_EPOCHS, kinds.SOLO_COMBO, (
            lambda *_: {}, *phases.AROUND_EPOCHS[kinds.SOLO_COMBO][1:]))
        begun = run('a', *words)
        assert 'weight' not in (begun / STATISTICS).read_text()
        assert 'weight_' not in (begun / 'README.md').read_text()
    longer = run('a', *words, '--more', '1')
    weights = [[line[f'weight_{term}'] for term in ('kl', 'pixel', 'adversarial')]
               for line in read_statistics(longer)]
    assert weights == [[None] * 3] * 2 + [[1.0, 2.0, 1.0]]
    words[2] = '1+2'
    whole = run('b', *words)
    assert (whole / 'vae.params').read_bytes() == (longer / 'vae.params').read_bytes()
    assert read_statistics(whole)[2] | {'seconds': 0} == read_statistics(longer)[2] | {
        'seconds': 0}
    assert 'adversarial has weight 1, to which it grows over the first 2 combo epochs' in (
        whole / 'README.md').read_text()


def test_late_field_is_in_records_where_it_is_set_only(run):
    for words, recorded in (([], {}), (['--set', 'disc_warmup=3'], {'disc_warmup': 3})):
        folder = run('a', COMBO, '--epochs', '1', *words)
        config = run_folder.read_config(folder)
        assert {k: v for k, v in config['row'].items() if k == 'disc_warmup'} == recorded
        assert ('| disc_warmup |' in (folder / 'README.md').read_text()) == bool(recorded)
        assert run_folder.row_of(config, folder).disc_warmup == recorded.get('disc_warmup', 0)
