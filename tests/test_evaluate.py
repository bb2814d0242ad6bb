"""`evaluate`: measures against plain computations, and the command a user types."""
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import linalg, ndimage

from training import evaluate, folders, metrics, tables

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
SMALL = ['--set', 'n_hnodes=20', '--epochs', '1', '--limit', '640', '--ctx', 'cpu']


def test_frechet_distance_of_known_distributions():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    b = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6)) + 2
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T)
                                                               - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet_distance(a, a + 3) == pytest.approx(6 * 9)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


def test_frechet_distance_where_a_feature_never_varies():
    a = np.random.default_rng(0).standard_normal((100, 4)).astype(np.float32)
    a[:, 2] = 0
    assert metrics.frechet_distance(a, a + np.float32(1)) == pytest.approx(4, rel=1e-5)


def plain_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. (2004) with a window of 7 x 7, of one channel: (h, w) in [0, 255]."""
    def mean(values):
        return ndimage.uniform_filter(values, 7)[3:-3, 3:-3]

    x, y, unbiased = x.astype(float), y.astype(float), 49 / 48
    mx, my = mean(x), mean(y)
    vx, vy = unbiased * (mean(x * x) - mx * mx), unbiased * (mean(y * y) - my * my)
    vxy = unbiased * (mean(x * y) - mx * my)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (((2 * mx * my + c1) * (2 * vxy + c2))
            / ((mx ** 2 + my ** 2 + c1) * (vx + vy + c2))).mean()


def test_pixel_measures_are_means_over_images_of_plain_formulas():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 16, 16, 3), np.uint8)
    y = np.clip(x + rng.normal(0, [[[[9]]], [[[30]]], [[[60]]]], x.shape), 0, 255).astype(np.uint8)
    found = evaluate._pixels(x, y)
    of_each = ((x / 255 - y / 255) ** 2).mean(axis=(1, 2, 3))
    assert found['mean_squared_error'] == pytest.approx(of_each.mean())
    assert found['psnr'] == pytest.approx(np.mean(-10 * np.log10(of_each)))
    assert found['ssim'] == pytest.approx(np.mean(
        [[plain_ssim(x[i, ..., c], y[i, ..., c]) for c in range(3)] for i in range(3)]))


@pytest.fixture(scope='module')
def results(tmp_path_factory, data_root):
    from training import __main__ as main
    folder = tmp_path_factory.mktemp('results')
    where = ['--results-root', str(folder), '--data-root', str(data_root)]
    assert main.main(['run', SOLO, *SMALL, *where]) == 0
    return where


def test_command_writes_what_verify_accepts(cli, results):
    status, out, err = cli(['evaluate', '--match', '*bce*', *results, '--ctx', 'cpu', '--json'])
    assert status == 0, err
    (name, found), = json.loads(out).items()
    folder = folders.finished_runs(Path(results[1]))[name]
    assert folders.read_evaluation(folder) == found and found['images'] == 20
    measures = found['measures']
    assert {*tables.EVALUATED} < {*measures} and len(measures['kl_per_latent']) == 5
    assert measures['kl'] == pytest.approx(sum(measures['kl_per_latent']), abs=1e-3)
    assert 0 <= measures['accuracy'] <= 1 and measures['frechet_samples'] > 0
    readme = (folder / 'README.md').read_text()
    assert '## Evaluation' in readme and f'{measures["psnr"]:.2f}' in readme
    assert cli(['verify', *results, '--ctx', 'cpu'])[0] == 0
    again = cli(['evaluate', '--match', '*bce*', *results, '--ctx', 'cpu'])[1]
    assert f'{measures["ssim"]:.3f}' in again and '| squared error |' in again


def test_latents_are_those_of_the_encoder(cli, results):
    from mxnet import cpu, nd

    import models
    from data import load
    from training import checkpoint
    folder, = folders.finished_runs(Path(results[1])).values()
    row = folders.row_of(folders.read_config(folder), folder)
    dataset = load('MNIST', results[3])
    vae = models.build_vae(row, dataset.shape)
    checkpoint.load(vae, folder / folders.PARAMETERS, cpu())
    code = vae.encoder(nd.array(dataset.test[np.arange(20)])).asnumpy().astype(float)
    mean, logvar = code[:, :5], code[:, 5:]
    kl = (mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0) / 2
    assert cli(['evaluate', '--match', '*bce*', *results, '--ctx', 'cpu'])[0] == 0
    measures = folders.read_evaluation(folder)['measures']
    assert measures['kl_per_latent'] == pytest.approx(kl, abs=1e-3)
    assert measures['active_latents'] == (mean.var(axis=0) > 0.01).sum()


def test_plain_gan_has_samples_only(cli, tmp_path, data_root):
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']
    small = ['--set', 'vae_base_channels=2', '--set', 'n_latent=4', '--set', 'batch_size=8',
             '--limit', '8', '--epochs', '1', '--set', 'disc=ConvDisc', '--set',
             'disc_base_channels=2']
    assert cli(['run', GAN, *small, *where])[0] == 0
    status, out, err = cli(['evaluate', '--match', '*', *where])
    assert status == 0, err
    folder, = folders.finished_runs(tmp_path).values()
    assert {*folders.read_evaluation(folder)['measures']} == {'sample_sharpness'}
    assert 'sharpness of samples' in out and 'PSNR' not in out


@pytest.mark.parametrize('content', [b'', b'{', b'[]', b'{"measures": {}}', b'\xff',
                                     b'{"measures": {"psnr": "x"}, "protocol": "", "images": 1, '
                                     b'"seed": 0}'])
def test_evaluation_of_another_kind_is_one_line(tmp_path, content):
    assert folders.read_evaluation(tmp_path) is None
    (tmp_path / folders.EVALUATION).write_bytes(content)
    with pytest.raises(folders.FolderError, match='evaluation.json: not an evaluation'):
        folders.read_evaluation(tmp_path)


def test_run_that_is_not_there_is_one_line(cli, tmp_path):
    status, _, err = cli(['evaluate', SOLO, '--results-root', str(tmp_path)])
    assert status == 2 and len(err.splitlines()) == 1 and 'no finished run there' in err
