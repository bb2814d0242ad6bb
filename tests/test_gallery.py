"""The anime rows at one scale: what is reduced, and the command with a scale of minutes less."""
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training.experiments import naming, registry
from training.reporting.published import published_numbers
from training.reporting.statistics import read_csv
from training.studies import anime

ANIME = [name for name, row in registry.EXPERIMENTS.items()
         if row.data == 'anime' and name in published_numbers() and row.step != 'vaegan']


def test_every_anime_row_is_in_a_study_and_trained_once():
    shown = {name for study in anime.STUDIES.values() for name in study}
    assert shown == set(ANIME) and len(ANIME) == 27
    trained = [naming.run_name(row) for row in anime.rows()]
    assert len(set(trained)) == len(trained) == 27  # one pair is equal, one is transposed
    for name in ANIME:
        scaled = anime.at_scale(registry.canonical(registry.EXPERIMENTS[name]))
        assert naming.run_name(scaled) in trained


@pytest.mark.parametrize('name', ANIME)
def test_scale_keeps_what_is_studied(name):
    row = registry.EXPERIMENTS[name]
    scaled = anime.at_scale(row)
    for field in ('disc_weight', 'pbp_weight', 'pbp_decay', 'lr', 'layout', 'shuffle_seed', 'vae',
                  'disc', 'pixel_loss', 'n_hlayers', 'disc_hlayers', 'seed'):
        assert getattr(scaled, field) == getattr(row, field)
    assert scaled.epochs == 16 and 25 / scaled.decay_interval == 200 / scaled.epochs
    assert scaled.solo_epochs / scaled.epochs == row.solo_epochs / row.epochs
    assert (scaled.limit, scaled.batch_size, scaled.step) == (1792, 32, 'shared')


def test_command_trains_measures_and_draws(cli, tmp_path, data_root, monkeypatch):
    scale = anime.at_scale
    names = ['ConvDecoder_ResNet_on_anime/512_32_200', anime.TRANSPOSED]
    monkeypatch.setattr(anime, 'at_scale', lambda row: replace(
        scale(row), n_latent=4, vae_base_channels=2, limit=8, batch_size=8,
        disc=row.disc and 'ConvDisc', disc_base_channels=row.disc and 2,
        solo_epochs=min(1, row.solo_epochs), combo_epochs=min(1, row.combo_epochs)))
    monkeypatch.setattr(anime, 'STUDIES', {'Two': names})
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']
    status, _, err = cli(['gallery', *where])
    assert status == 0, err
    gan, vae, transposed = read_csv(tmp_path / 'gallery.csv')
    assert gan['mean_squared_error'] is None and float(gan['noise']) > 0
    assert 0 < float(vae['mean_squared_error']) < 1 and 'transpose' in transposed['run']
    assert np.asarray(Image.open(tmp_path / 'layout.png')).std() > 10
    before = (tmp_path / 'gallery.csv').read_bytes()
    assert cli(['gallery', *where])[0] == 0  # nothing is trained again
    assert (tmp_path / 'gallery.csv').read_bytes() == before
    (tmp_path / gan['run'] / 'vae.params').unlink()  # as in a fresh clone
    status, out, err = cli(['gallery', '--keep', *where])
    assert status == 0 and 'epochs on cpu' not in out, out + err
    assert (tmp_path / 'gallery.csv').read_bytes() == before
    status, out, err = cli(['gallery', *where])
    assert status == 0, err
    assert out.count('epochs on cpu') == 1 and (tmp_path / gan['run'] / 'vae.params').exists()
    shown = anime.markdown(read_csv(tmp_path / 'gallery.csv'))
    assert shown.count('/strip.png)') == 3 and names[0] in shown
