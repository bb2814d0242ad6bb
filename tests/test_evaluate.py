"""`evaluate`: measures against plain computations, and the command a user types."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import cpu, nd
from scipy import linalg, ndimage

import models
from data.images import Images
from data.loading import load
from training.evaluation import evaluate, measures, metrics
from training.experiments.registry import EXPERIMENTS
from training.reporting import page, run_readme, tables
from training.storage import parameters, run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
FRECHET = {'frechet_reconstructions', 'frechet_samples'}


def test_frechet_distance_of_known_distributions():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    b = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6)) + 2
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T)
                                                               - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    a = rng.standard_normal((100, 4)).astype(np.float32)
    a[:, 2] = 0  # a feature that never varies
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


def test_pixel_measures_are_means_over_images_of_plain_formulas(monkeypatch):
    monkeypatch.setattr(metrics, 'AT_ONCE', 2)  # of three images
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


def run_of(originals: np.ndarray, drawn: np.ndarray, samples: np.ndarray, labels=None, name=SOLO):
    """A run with those held-out images, and what it makes of them; codes are 0."""
    return SimpleNamespace(
        row=EXPERIMENTS[name], images=Images(originals),
        dataset=SimpleNamespace(labels=(None, labels) if labels is not None else None),
        codes=lambda n: 2 * (np.zeros((n, 5)),), draw_again=lambda n: drawn[:n],
        fixed_samples=lambda n, which: samples[:n])


def by_brightness(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A classifier that takes a picture's mean for its class and feature."""
    mean = pixels.mean(axis=(1, 2, 3))
    return np.stack([mean, mean ** 2], axis=1), np.rint(mean).astype(int)


def test_measures_of_a_classifier_are_of_the_pictures_their_names_say():
    """Originals are 0, 1 .. 9 all over, reconstructions one brighter, samples ten."""
    values = np.arange(10, dtype=np.uint8)
    originals = np.broadcast_to(values[:, None, None, None], (10, 28, 28, 1))
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 0, 0])
    run = run_of(originals, originals + np.uint8(1), originals + np.uint8(10), labels)
    found = evaluate.evaluate(run, by_brightness)['measures']
    assert found['accuracy_of_originals'] == 0.8 and found['accuracy'] == 0  # one too many
    features = by_brightness(originals)[0]
    for name, brighter in (('frechet_reconstructions', 1), ('frechet_samples', 10)):
        assert found[name] == pytest.approx(metrics.frechet_distance(
            features, by_brightness(originals + np.uint8(brighter))[0]), abs=1e-6)
    assert found['mean_squared_error'] == pytest.approx(1 / 255 ** 2, rel=1e-3)
    assert 'sharpness' not in found and 'sample_sharpness' not in found  # flat originals


@pytest.mark.parametrize('missing, picture', [
    ('diversity', np.random.default_rng(0).integers(0, 256, (28, 28, 3))),
    ('noise', np.repeat(3 * np.arange(28)[:, None, None] + 4 * np.arange(28)[:, None], 3, 2)),
    ('sharpness', np.full((28, 28, 3), 77))])
def test_originals_with_nothing_of_a_measure_give_no_number(missing, picture):
    originals = np.repeat(picture[None].astype(np.uint8), 300, axis=0)
    drawn = np.random.default_rng(1).integers(0, 256, originals.shape, np.uint8)
    found = measures.take(measures.Outputs(originals, drawn, drawn))
    assert missing not in found and all(value < 1e3 for value in found.values())


@pytest.mark.parametrize('n, said', [
    (1, 'means nothing'), (128, 'means nothing'), (129, 'mean little'), (999, 'mean little'),
    (1000, '')])
def test_frechet_distance_of_few_images_is_none_or_said_to_mean_little(n, said):
    """Of perfect pictures, which have no PSNR."""
    pixels = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), np.uint8)
    random = np.random.default_rng(1)
    found = evaluate.evaluate(run_of(pixels, pixels, pixels), lambda of: (
        random.standard_normal((len(of), 128)), None))
    taken, protocol = found['measures'], found['protocol']
    assert FRECHET & taken.keys() == (FRECHET if n > 128 else set())
    assert said in protocol and ('Frechet' in protocol) == bool(said)
    assert ('active_latents' in taken) == (n > 1)
    assert 'psnr' not in taken and taken['ssim'] == taken['sharpness'] == taken['noise'] == 1


def test_first_images_alone_are_measured_where_that_is_asked():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), np.uint8)
    run = run_of(pixels, pixels // 2, pixels)
    few, whole = evaluate.evaluate(run, n_images=2), evaluate.evaluate(run, n_images=60)
    assert (few['images'], whole['images']) == (2, 6)
    assert few['protocol'].startswith('The first 2 held-out') and whole['protocol'][:4] == 'All '
    assert few['measures']['mean_squared_error'] == pytest.approx(
        ((pixels[:2] / 255 - pixels[:2] // 2 / 255) ** 2).mean())


def test_plain_gan_has_samples_only():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
    found = evaluate.evaluate(run_of(pixels, pixels, pixels, name=GAN))
    of_samples = {'sharpness', 'noise', 'sample_sharpness', 'diversity'}
    of_reconstructions = {name for name, one in measures.MEASURES.items()
                          if {'reconstructions', 'mean'} & {*one.needs}}
    assert of_samples <= found['measures'].keys()
    assert of_reconstructions and not of_reconstructions & found['measures'].keys()
    assert 'drawn again' not in found['protocol']
    explained = measures.explained(found['measures'] | {'frechet_samples': 1.0})
    assert f'between these and originals, by {measures.ROTATIONS}.' in explained
    assert 'latent is active' not in explained
    table = tables.evaluations({GAN: found})
    assert 'sharpness of samples' in table and 'PSNR' not in table


def test_command_writes_what_verify_accepts_and_what_is_shown(cli, on_digits, mnist_root,
                                                              tmp_path, monkeypatch):
    """A measure that is added in one line is everywhere, and one of later nowhere."""
    monkeypatch.setitem(measures.MEASURES, 'brightness', measures.Measure(
        lambda outputs: float(outputs.drawn.mean()), (), 'brightness', 1,
        'Brightness is a mean over pixels.'))
    assert on_digits('run', SOLO, '--set', 'n_hnodes=20', '--epochs', 1, '--limit', 64)[0] == 0
    status, out, err = on_digits('evaluate', '--match', '*bce*', '--json')
    assert status == 0, err
    (name, found), = json.loads(out).items()
    folder, taken = tmp_path / 'results' / name, found['measures']
    assert run_folder.read_evaluation(folder) == found and found['images'] == 20
    assert {*measures.MEASURES} - FRECHET == {*taken}
    assert measures.on_few(20) in found['protocol'] and measures.on_few(20) in err
    assert 0 <= taken['accuracy'] <= 1 and taken['noise'] > 0
    # Latents are those of the encoder
    dataset = load('MNIST', mnist_root)
    vae = models.build_vae(run_folder.row_of(run_folder.read_config(folder), folder),
                           dataset.shape)
    parameters.load(vae, folder / run_folder.PARAMETERS, cpu())
    code = vae.encoder(nd.array(dataset.test[np.arange(20)])).asnumpy().astype(float)
    mean, logvar = code[:, :5], code[:, 5:]
    kl = (mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0) / 2
    assert taken['kl_per_latent'] == pytest.approx(kl, abs=1e-3)
    assert taken['kl'] == pytest.approx(kl.sum(), abs=1e-3)
    assert taken['active_latents'] == (mean.var(axis=0) > 0.01).sum()
    out = on_digits('evaluate', '--match', '*bce*')[1]
    assert f'{taken["ssim"]:.3f}' in out and '| brightness |' in out

    def shown() -> tuple[str, str]:
        """The README of the run, and what the page says of it."""
        status, out, _ = on_digits('verify')
        assert status == 0, out
        assert cli(['report', '--results-root', str(tmp_path / 'results')])[0] == 0
        html = (tmp_path / 'results' / page.NAME).read_text()
        return (folder / 'README.md').read_text(), html[html.index('<article'):]

    readme, html = shown()
    brightness = f'{taken["brightness"]:.1f}'
    assert f'| {brightness} |' in readme and 'Brightness is a mean over pixels.' in readme
    assert '## Evaluation' in readme and f'<dt>brightness</dt><dd>{brightness}</dd>' in html
    del taken['noise'], taken['diversity']  # as before these were added
    run_folder.write_evaluation(folder, found)
    run_readme.write_readme(folder, {})
    run_folder.update_checksums(folder, run_folder.EVALUATION, 'README.md')
    for text in shown():
        assert f'{taken["psnr"]:.2f}' in text
        assert 'noise' not in text and 'diversity' not in text


@pytest.mark.parametrize('content', [
    '', '{', '[]', '{"measures": {}}', '\udcff', *(
        f'{{"measures": {{{taken}}}, "protocol": "", "images": 1, "seed": 0}}' for taken in (
            '"psnr": "x"', '"psnr": [17.6]', '"psnr": Infinity', '"psnr": true',
            '"active_latents": 5', f'"kl": {"9" * 400}', '"kl_per_latent": 3'))])
def test_evaluation_of_another_kind_is_one_line(tmp_path, content):
    assert run_folder.read_evaluation(tmp_path) is None
    (tmp_path / run_folder.EVALUATION).write_text(content, errors='surrogateescape')
    with pytest.raises(run_folder.FolderError, match='evaluation.json: not an evaluation'):
        run_folder.read_evaluation(tmp_path)
