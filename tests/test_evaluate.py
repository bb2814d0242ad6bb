"""`evaluate`: measures against plain computations, and the command a user types."""
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import cpu
from scipy import linalg, ndimage

from data.images import Images
from models.classifier import Classifier, RotationClassifier
from training.evaluation import classifier, evaluate, measures, metrics
from training.experiments.registry import EXPERIMENTS
from training.reporting import page, run_readme
from training.reporting.statistics import STATISTICS
from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
FRECHET = {'frechet_reconstructions', 'frechet_samples'}
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
    found = measures.take(measures.Outputs(x, y, x, y))
    of_each = ((x / 255 - y / 255) ** 2).mean(axis=(1, 2, 3))
    assert found['mean_squared_error'] == pytest.approx(of_each.mean())
    assert found['psnr'] == pytest.approx(np.mean(-10 * np.log10(of_each)))
    assert found['ssim'] == pytest.approx(np.mean(
        [[plain_ssim(x[i, ..., c], y[i, ..., c]) for c in range(3)] for i in range(3)]))
    halved = measures.take(measures.Outputs(x, x // 2, x, x // 2))
    assert halved['sharpness'] == pytest.approx(0.5, rel=0.02)
    assert halved['noise'] == pytest.approx(0.5, rel=0.02)
    assert (halved['diversity'], halved['sample_sharpness']) == (1, 1)  # samples: the originals


def test_measures_are_taken_some_images_at_a_time(monkeypatch):
    monkeypatch.setattr(metrics, 'AT_ONCE', 3)
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 256, (7, 8, 8, 3), np.uint8) for _ in range(2))
    assert metrics.mean_over(metrics.mean_squared_error, y, x) == pytest.approx(
        ((y / 255 - x / 255) ** 2).mean())
    half = x // 2
    assert metrics.relative(metrics.edge_sharpness, half, 2 * half) == pytest.approx(0.5)
    flat = np.zeros_like(x)
    assert np.isnan(metrics.relative(metrics.edge_sharpness, x, flat))


def run_of(originals: np.ndarray, drawn: np.ndarray, samples: np.ndarray, labels=None):
    """A run with those held-out images, and what it makes of them; codes are 0."""
    return SimpleNamespace(
        row=EXPERIMENTS[SOLO], images=Images(originals),
        dataset=SimpleNamespace(labels=(None, labels) if labels is not None else None),
        codes=lambda n: 2 * (np.zeros((n, 5)),), draw_again=lambda n: drawn[:n],
        fixed_samples=lambda n, which: samples[:n])


class Stub:
    """A classifier of 28 x 28 images that takes a picture's mean for its class and feature."""

    def __call__(self, pixels):
        mean = pixels.mean(axis=(1, 2, 3))
        return np.stack([mean, mean ** 2], axis=1), np.rint(mean).astype(int)


def test_measures_of_a_classifier_are_of_the_pictures_their_names_say():
    """Originals are 0, 1 .. 9 all over, reconstructions one brighter, samples ten."""
    values = np.arange(10, dtype=np.uint8)
    originals = np.broadcast_to(values[:, None, None, None], (10, 28, 28, 1))
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 0, 0])
    run = run_of(originals, originals + np.uint8(1), originals + np.uint8(10), labels)
    found = evaluate.evaluate(run, Stub())['measures']
    assert found['accuracy_of_originals'] == 0.8 and found['accuracy'] == 0  # one too many
    features = Stub()(originals)[0]
    for name, brighter in (('frechet_reconstructions', 1), ('frechet_samples', 10)):
        assert found[name] == pytest.approx(metrics.frechet_distance(
            features, Stub()(originals + np.uint8(brighter))[0]), abs=1e-6)
    assert found['mean_squared_error'] == pytest.approx(1 / 255 ** 2, rel=1e-3)
    assert 'sharpness' not in found and 'sample_sharpness' not in found  # flat originals


def test_perfect_pictures_have_no_psnr():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), np.uint8)
    found = evaluate.evaluate(run_of(pixels, pixels, pixels))['measures']
    assert 'psnr' not in found and found['ssim'] == found['sharpness'] == found['noise'] == 1


@pytest.mark.parametrize('missing, picture', [
    ('diversity', np.random.default_rng(0).integers(0, 256, (28, 28, 3))),
    ('noise', np.repeat(3 * np.arange(28)[:, None, None] + 4 * np.arange(28)[:, None], 3, 2)),
    ('sharpness', np.full((28, 28, 3), 77))])
def test_originals_with_nothing_of_a_measure_give_no_number(missing, picture):
    originals = np.repeat(picture[None].astype(np.uint8), 300, axis=0)
    drawn = np.random.default_rng(1).integers(0, 256, originals.shape, np.uint8)
    found = measures.take(measures.Outputs(originals, drawn, drawn))
    assert missing not in found and all(value < 1e3 for value in found.values())


@pytest.mark.parametrize('n, said', [(1, 'means nothing'), (18, 'means nothing'),
                                     (128, 'means nothing'), (129, 'mean little'),
                                     (999, 'mean little'), (1000, '')])
def test_frechet_distance_of_few_images_is_none_or_said_to_mean_little(n, said):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), np.uint8)
    random = np.random.default_rng(1)
    found = evaluate.evaluate(run_of(pixels, pixels, pixels), lambda of: (
        random.standard_normal((len(of), 128)), None))
    assert (FRECHET <= found['measures'].keys()) == (n > 128)
    assert (FRECHET & found['measures'].keys() == set()) == (n <= 128)
    protocol = found['protocol']
    assert said in protocol and ('Frechet' in protocol) == bool(said)
    assert ('active_latents' in found['measures']) == (n > 1)


def test_first_images_alone_are_measured_where_that_is_asked():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), np.uint8)
    run = run_of(pixels, pixels // 2, pixels)
    few, whole = evaluate.evaluate(run, n_images=2), evaluate.evaluate(run, n_images=60)
    assert (few['images'], whole['images']) == (2, 6)
    assert few['protocol'].startswith('The first 2 held-out') and whole['protocol'][:4] == 'All '
    assert few['measures']['mean_squared_error'] == pytest.approx(
        ((pixels[:2] / 255 - pixels[:2] // 2 / 255) ** 2).mean())


def test_classifier_learns(data_root, tmp_path):
    """Patches of light in one of ten places, told apart after its four epochs."""
    labels = np.arange(2000) % 10
    pixels = np.zeros((2000, 28, 28, 1), np.uint8)
    for i, label in enumerate(labels):
        pixels[i, 5 * (label // 2):5 * (label // 2) + 5, 14 * (label % 2):][:, :14] = 255
    pixels -= np.random.default_rng(0).integers(0, 200, pixels.shape, np.uint8) * (pixels > 0)
    trained = classifier.fit(Classifier(), classifier.labelled(Images(pixels), labels), cpu(),
                             tmp_path / 'c.params')
    assert (trained(pixels)[1] == labels).mean() > 0.9
    again = classifier.fit(Classifier(), iter(()), cpu(), tmp_path / 'c.params')
    assert (again(pixels[:9])[0] == trained(pixels[:9])[0]).all()


def test_faces_are_turned_by_what_their_class_says(monkeypatch):
    monkeypatch.setattr(classifier, 'UPDATES', 2)
    images = Images(np.random.default_rng(1).integers(0, 256, (200, 8, 8, 3), np.uint8),
                    'transpose')
    whole, counts = images[np.arange(200)], np.zeros(4)
    rounds = [[*batches] for batches in classifier.rotated(images)]
    assert len(rounds) == classifier.ROUNDS
    for x, turns in (batch for batches in rounds for batch in batches):
        assert len(x) == classifier.BATCH
        counts += np.bincount(turns, minlength=4)
        for one, k in zip(x, turns, strict=True):
            for _ in range(k):  # back, clockwise
                one = one.transpose(0, 2, 1)[:, :, ::-1]
            assert (one == whole).all(axis=(1, 2, 3)).sum() == 1
    assert counts.min() > 0.2 * counts.sum()
    again = next(next(classifier.rotated(images)))
    assert (again[0] == rounds[0][0][0]).all() and (rounds[1][0][0] != rounds[0][0][0]).any()
    few = next(next(classifier.rotated(Images(np.zeros((5, 8, 8, 3), np.uint8), 'transpose'))))
    assert few[0].shape == (5, 3, 8, 8)


def test_net_learns_how_faces_are_turned_and_is_kept(tmp_path, monkeypatch):
    """Bright at the top, so that light tells which way is up."""
    monkeypatch.setattr(classifier, 'UPDATES', 12)
    pixels = np.random.default_rng(0).integers(0, 60, (80, 64, 64, 3), np.uint8)
    pixels[:, :20] += 180
    images, path = Images(pixels, 'transpose'), tmp_path / 'r.params'
    trained = classifier.fit(RotationClassifier(), classifier.rotated(images), cpu(), path)
    for k in range(4):
        features, found = trained(np.rot90(pixels, k, (1, 2)))
        assert (found == k).mean() > 0.9 and features.shape == (80, 128)
    again = classifier.fit(RotationClassifier(), iter(()), cpu(), path)
    assert (again(pixels)[0] == trained(pixels)[0]).all()
    anew = classifier.fit(RotationClassifier(), classifier.rotated(images), cpu(),
                          tmp_path / 'again.params')
    assert (anew(pixels)[0] == trained(pixels)[0]).all()


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
    folder = run_folder.finished_runs(Path(results[1]))[name]
    assert run_folder.read_evaluation(folder) == found and found['images'] == 20
    taken = found['measures']
    assert {*measures.MEASURES} - FRECHET == {*taken} and len(taken['kl_per_latent']) == 5
    assert measures.on_few(20) in found['protocol'] and measures.on_few(20) in err
    assert taken['kl'] == pytest.approx(sum(taken['kl_per_latent']), abs=1e-3)
    assert 0 <= taken['accuracy'] <= 1 and taken['noise'] > 0
    readme = (folder / 'README.md').read_text()
    assert '## Evaluation' in readme and f'{taken["psnr"]:.2f}' in readme
    assert cli(['verify', *results, '--ctx', 'cpu'])[0] == 0
    again = cli(['evaluate', '--match', '*bce*', *results, '--ctx', 'cpu'])[1]
    assert f'{taken["ssim"]:.3f}' in again and '| squared error |' in again


def test_evaluation_of_before_a_measure_was_added_is_read_verified_and_shown(cli, results):
    folder, = run_folder.finished_runs(Path(results[1])).values()
    assert cli(['evaluate', '--match', '*', *results, '--ctx', 'cpu'])[0] == 0
    before = run_folder.read_evaluation(folder)
    del before['measures']['noise'], before['measures']['diversity']
    run_folder.write_evaluation(folder, before)
    run_readme.write_readme(folder, {})
    run_folder.update_checksums(folder, run_folder.EVALUATION, 'README.md')
    assert cli(['verify', *results, '--ctx', 'cpu'])[0] == 0
    assert cli(['report', *results[:2]])[0] == 0
    html = (Path(results[1]) / page.NAME).read_text()
    for text in ((folder / 'README.md').read_text(), html[html.index('<article'):]):
        assert f'{before["measures"]["psnr"]:.2f}' in text
        assert 'noise' not in text and 'diversity' not in text


def test_measure_that_is_added_in_one_line_is_everywhere(cli, results, monkeypatch):
    monkeypatch.setitem(measures.MEASURES, 'brightness', measures.Measure(
        lambda outputs: float(outputs.drawn.mean()), (), 'brightness', 1,
        'Brightness is a mean over pixels.'))
    folder, = run_folder.finished_runs(Path(results[1])).values()
    status, out, err = cli(['evaluate', '--match', '*', *results, '--ctx', 'cpu'])
    assert status == 0 and '| brightness |' in out, err
    shown = f'{run_folder.read_evaluation(folder)["measures"]["brightness"]:.1f}'
    readme = (folder / 'README.md').read_text()
    assert f'| {shown} |' in readme and 'Brightness is a mean over pixels.' in readme
    assert cli(['report', *results[:2]])[0] == 0
    html = (Path(results[1]) / page.NAME).read_text()
    assert f'<dt>brightness</dt><dd>{shown}</dd>' in html
    assert cli(['verify', *results, '--ctx', 'cpu'])[0] == 0


def test_latents_are_those_of_the_encoder(cli, results):
    from mxnet import cpu, nd

    import models
    from data.loading import load
    from training.storage import parameters
    folder, = run_folder.finished_runs(Path(results[1])).values()
    row = run_folder.row_of(run_folder.read_config(folder), folder)
    dataset = load('MNIST', results[3])
    vae = models.build_vae(row, dataset.shape)
    parameters.load(vae, folder / run_folder.PARAMETERS, cpu())
    code = vae.encoder(nd.array(dataset.test[np.arange(20)])).asnumpy().astype(float)
    mean, logvar = code[:, :5], code[:, 5:]
    kl = (mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0) / 2
    assert cli(['evaluate', '--match', '*bce*', *results, '--ctx', 'cpu'])[0] == 0
    taken = run_folder.read_evaluation(folder)['measures']
    assert taken['kl_per_latent'] == pytest.approx(kl, abs=1e-3)
    assert taken['active_latents'] == (mean.var(axis=0) > 0.01).sum()


def test_plain_gan_has_samples_only(cli, tmp_path, data_root):
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']
    small = ['--set', 'vae_base_channels=2', '--set', 'n_latent=4', '--set', 'batch_size=8',
             '--limit', '8', '--epochs', '1', '--set', 'disc=ConvDisc', '--set',
             'disc_base_channels=2']
    assert cli(['run', GAN, *small, *where])[0] == 0
    status, out, err = cli(['evaluate', '--match', '*', *where])
    assert status == 0, err
    folder, = run_folder.finished_runs(tmp_path).values()
    found = run_folder.read_evaluation(folder)
    of_samples = {'sharpness', 'noise', 'sample_sharpness', 'diversity'}
    assert of_samples <= found['measures'].keys()
    assert not {'mean_squared_error', 'psnr', 'ssim', 'kl', 'active_latents', *FRECHET
                } & found['measures'].keys()
    assert 'drawn again' not in found['protocol']
    assert 'latent is active' not in (folder / 'README.md').read_text()
    assert 'sharpness of samples' in out and 'PSNR' not in out
    assert f'between these and originals, by {measures.ROTATIONS}.' in measures.explained(
        found['measures'] | {'frechet_samples': 1.0})


def evaluation(measures: str) -> bytes:
    return f'{{"measures": {measures}, "protocol": "", "images": 1, "seed": 0}}'.encode()


@pytest.mark.parametrize('content', [
    b'', b'{', b'[]', b'{"measures": {}}', b'\xff', *map(evaluation, (
        '{"psnr": "x"}', '{"psnr": [17.6]}', '{"psnr": Infinity}', '{"psnr": true}',
        '{"active_latents": 5}', f'{{"kl": {"9" * 400}}}', '{"kl_per_latent": 3}'))])
def test_evaluation_of_another_kind_is_one_line(tmp_path, content):
    assert run_folder.read_evaluation(tmp_path) is None
    (tmp_path / run_folder.EVALUATION).write_bytes(content)
    with pytest.raises(run_folder.FolderError, match='evaluation.json: not an evaluation'):
        run_folder.read_evaluation(tmp_path)


def test_pattern_of_runs_without_parameters_is_one_line(cli, results):
    folder, = run_folder.finished_runs(Path(results[1])).values()
    whole = {folder / name: (folder / name).read_bytes()
             for name in (run_folder.PARAMETERS, run_folder.PICTURES)}
    for path in whole:
        path.unlink()
    for command in ('evaluate', 'explore', 'strips'):
        status, out, err = cli([command, '--match', '*', *results, '--ctx', 'cpu'])
        assert status == 2 and not out
        assert err.splitlines()[-1].startswith('error: no finished run')
    for path, content in whole.items():
        path.write_bytes(content)


@pytest.mark.parametrize('name', [STATISTICS, run_folder.SUMS, run_folder.EVALUATION])
def test_damaged_table_is_noticed_before_anything_is_written(cli, results, name):
    folder, = run_folder.finished_runs(Path(results[1])).values()
    assert cli(['evaluate', '--match', '*', *results, '--ctx', 'cpu'])[0] == 0
    content = (folder / name).read_bytes()
    (folder / name).write_text('nonsense')
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for command in ('evaluate', 'explore', 'strips'):
        status, _, err = cli([command, '--match', '*', *results, '--ctx', 'cpu'])
        assert status == 2 and name in err.splitlines()[-1]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / name).write_bytes(content)


def test_run_that_is_not_there_is_one_line(cli, tmp_path):
    status, _, err = cli(['evaluate', SOLO, '--results-root', str(tmp_path)])
    assert status == 2 and len(err.splitlines()) == 1 and 'no finished run there' in err
