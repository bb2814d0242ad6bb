"""`compare`: finished runs beside each other."""
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.readmes import IMAGES

ALONE = 'DenseVAE_on_MNIST/5_3_400_bce_50'
BESIDE = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
IN_PLACE = 'VAEGAN_on_MNIST/paper_5_3_400_1_200_50'
GAN = next(f'{path.parent.name}/{path.name}' for path in IMAGES.glob(
    'ConvDecoder_ResNet_on_anime/*') if path.is_dir())


def cells(out: str) -> dict[str, list[str]]:
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in (
        line.strip('|').split('|') for line in out.splitlines() if line.startswith('| '))}


def test_what_differs_and_what_was_measured_stand_side_by_side(cli, tmp_path):
    path = tmp_path / 'new' / 'both.png'
    status, out, err = cli(['compare', ALONE, BESIDE, '--out', str(path)])
    assert status == 0 and out.splitlines()[-1] == str(path), err
    table = cells(out)
    assert table[''] == [ALONE, BESIDE]
    assert table['combo_epochs'] == ['0', '50'] and table['solo_epochs'] == ['50', '0']
    assert table['disc_hnodes'] == ['None', '200'] and 'n_latent' not in table
    assert table['VAE loss, last epoch'] == ['107.43', '118.77']
    assert table['Frechet, held out'] == ['11.6', '3.2']
    picture = np.asarray(Image.open(path).convert('RGB')).astype(int)
    strip = np.asarray(Image.open(IMAGES / ALONE / 'strip.png').convert('RGB'))
    assert picture.shape[0] > 2 * strip.shape[0] * picture.shape[1] / strip.shape[1] / 1.2
    assert (np.ptp(picture, axis=2) > 60).mean() > 1e-4  # lines and names in colours


def test_runs_of_any_kind_stand_beside_each_other(cli, tmp_path):
    runs = [BESIDE, GAN, IN_PLACE]
    status, out, err = cli(['compare', *runs, '--out', str(tmp_path / 'a.png')])
    table = cells(out)
    assert status == 0 and table[''] == runs and len({*table['training']}) == 3, err
    assert (tmp_path / 'a.png').stat().st_size > 10_000


@pytest.mark.parametrize('words, message', [
    ([ALONE, '--out', 'a.png'], 'one run, expected two or more'),
    ([ALONE, ALONE, '--out', 'a.png'], 'one run, expected two or more'),
    ([ALONE, BESIDE, '--out', 'a.gif'], 'ends in .png'),
    ([ALONE, BESIDE, '--out', 'there.png'], 'there already; --force writes over it'),
    ([ALONE, 'none/none', '--out', 'a.png'], 'none/none')])
def test_mistake_is_one_line(cli, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there.png').write_text('mine')
    status, _, err = cli(['compare', *words])
    line, = err.splitlines()
    assert status == 2 and message in line
    assert [path.read_text() for path in tmp_path.iterdir()] == ['mine']


def test_copy_without_a_strip_or_measures_is_told_apart_by_its_place(cli, tmp_path):
    copy = shutil.copytree(IMAGES / ALONE, tmp_path / ALONE, ignore=shutil.ignore_patterns(
        'strip.png', 'evaluation.json'))
    status, out, err = cli(['compare', ALONE, str(copy), str(IMAGES / ALONE), '--out',
                            str(tmp_path / 'a.png')])
    assert status == 0 and cells(out)[''] == [str(IMAGES / ALONE), str(copy)], err
    assert cells(out)['SSIM, held out'][1] == '-'
