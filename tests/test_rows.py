"""Every published row, shrunk, from the command a user types."""
import math

import pytest
from PIL import Image

from training.experiments import registry
from training.reporting import pictures
from training.reporting.statistics import read_statistics
from training.storage import run_folder

SMALL = {'n_latent': 4, 'n_hnodes': 8, 'disc_hnodes': 8, 'vae_base_channels': 2,
         'disc_base_channels': 2, 'batch_size': 2}


@pytest.fixture
def where(data_root, tmp_path) -> list[str]:
    return ['--data-root', str(data_root), '--results-root', str(tmp_path), '--ctx', 'cpu']


def shrunk(row: registry.Experiment, step: str) -> list[str]:
    """The words that run a row for one batch of each of its phases."""
    epochs = f'{min(1, row.solo_epochs)}+{min(1, row.combo_epochs)}' if row.disc else '1'
    words = ['run', row.name, '--epochs', epochs, '--limit', '2', '--step', step]
    for field, value in SMALL.items():
        if getattr(row, field) is not None:
            words += ['--set', f'{field}={value}']
    return words


def cases() -> list:
    """Every anime row with both steps; in the fast tier one of those with the same nets."""
    seen, found = set(), []
    for name, row in registry.EXPERIMENTS.items():
        for step in ('published', 'shared'):
            nets = row.vae, row.disc, bool(row.solo_epochs), step
            if row.data == 'anime' and row.step != 'vaegan':
                found.append(pytest.param(name, step, marks=[pytest.mark.slow] * (nets in seen)))
                seen.add(nets)
    return found


@pytest.mark.parametrize('name, step', cases())
def test_anime_row_runs(cli, tmp_path, where, name, step):
    row = registry.get(name)
    status, _, err = cli([*shrunk(row, step), *where])
    assert status == 0, err
    folder, = run_folder.finished_runs(tmp_path).values()
    phases = ['solo'] * bool(row.solo_epochs) + [
        'gan' if row.pixel_loss is None else 'combo'] * bool(row.combo_epochs)
    lines = read_statistics(folder)
    assert [line['phase'] for line in lines] == phases
    assert all(math.isfinite(line['vae_loss']) for line in lines)
    combo = lines[-1]
    if phases[-1] == 'combo':
        assert combo['vae_loss'] == pytest.approx(
            combo['kl'] + row.pbp_weight * combo['pixel'] + row.disc_weight * combo['adversarial'],
            rel=1e-5)
    strip = Image.open(folder / pictures.STRIP)
    assert strip.size == (1316, 260 if row.encodes else 128)  # a plain GAN has no originals
    assert any(tmp_path.glob('anime_test_images*')) == row.encodes
    before = {path: path.read_bytes() for path in folder.iterdir()}
    status, _, err = cli(['strips', '--match', '*', *where])
    assert status == 0, err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before  # drawn again


def test_gluoncv_net_is_a_discriminator_of_faces(cli, where):
    pytest.importorskip('gluoncv')
    row = registry.get('ConvVAE_ResNet_on_anime/512_32_50+150_10_1')
    status, _, err = cli([*shrunk(row, 'published'), '--set', 'disc=gluoncv:mobilenet0.25',
                          *where])
    assert status == 0, err
