"""`explore` and snapshots: the pictures that show what a net has learned."""
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageSequence

from data.images import Images
from training import __main__ as main
from training.evaluation import explore
from training.experiments.registry import EXPERIMENTS
from training.reporting import pictures
from training.reporting.published import RESULTS

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
RUN = 'DenseVAE_on_MNIST/5_3_400_bce_4_n64_n_hnodes-8'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50_shared'  # pictures.safetensors alone


@pytest.fixture(scope='module')
def results(tmp_path_factory, data_root):
    """A run of four epochs that kept every second strip."""
    where = ['--results-root', str(tmp_path_factory.mktemp('results')), '--data-root',
             str(data_root), '--ctx', 'cpu']
    assert main.main(['run', SOLO, '--set', 'n_hnodes=8', '--epochs', '4', '--limit', '64',
                      '--snapshot-every', '2', *where]) == 0
    return where


def test_nearest_images_are_those_of_a_plain_search(monkeypatch):
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (50, 6, 6, 3), np.uint8)
    wanted = rng.integers(0, 256, (4, 6, 6, 3), np.uint8)
    wanted[1] = stored[33]
    monkeypatch.setattr(explore, 'AT_ONCE', 7)
    for n in (50, 20):
        apart = ((wanted[:, None] / 255 - stored[None, :n] / 255) ** 2).mean(axis=(2, 3, 4))
        nearest, errors = explore.nearest_images(wanted, Images(stored), n)
        assert (nearest == stored[apart.argmin(axis=1)]).all()
        assert errors == pytest.approx(apart.min(axis=1), abs=1e-12)


@pytest.mark.parametrize('mirror', ['no', 'yes'])
def test_nearest_image_is_one_that_was_trained_on(mirror):
    """Of a net whose samples are images behind the limit, to the bit."""
    stored = np.random.default_rng(0).integers(0, 256, (90, 28, 28, 1), np.uint8)
    row = replace(EXPERIMENTS[SOLO], vae='ConvDecoder', disc='ConvDisc', pixel_loss=None,
                  solo_epochs=0, combo_epochs=1, limit=20, mirror=mirror)
    run = SimpleNamespace(row=row, dataset=SimpleNamespace(train=Images(stored)),
                          fixed_samples=lambda n: stored[20:20 + n])
    figures = explore.explore(run)
    assert [*figures] == ['samples', 'nearest']  # all that a plain GAN has
    _, errors, ((_, shown), (_, nearest)) = figures['nearest']
    assert (shown == stored[20:30]).all() and all(float(error) > 0.05 for error in errors)
    trained_on = {image.tobytes() for image in stored[:20]}
    assert {image.tobytes() for image in nearest} <= trained_on


def test_command_draws_four_pictures_that_verify_accepts(cli, results):
    status, out, err = cli(['explore', '--match', '*', '--between', '3', '5', *results])
    assert status == 0, err
    folder = Path(results[1]) / RUN
    assert out.split() == [str(folder / name) for name in pictures.EXPLORED.values()]
    readme = (folder / 'README.md').read_text()
    for name in pictures.EXPLORED.values():
        with Image.open(folder / name) as picture:
            assert np.asarray(picture).std() > 10 and name in readme
    before = {p: p.read_bytes() for p in folder.iterdir()}
    assert cli(['verify', *results])[0] == 0
    assert cli(['explore', RUN, '--between', '3', '5', *results])[0] == 0
    status, _, err = cli(['explore', RUN, '--between', '0', '20', *results])
    assert status == 2 and err.splitlines()[-1] == (
        'error: --between 20: expected less than the 20 held-out images')
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_interpolation_and_traversals_change_what_their_labels_say():
    """Of a decoder that draws latent i as brightness of pixel i: 127.5 + 25.5 a unit."""
    rng = np.random.default_rng(0)
    mean, spread = rng.normal(0, 1, (20, 5)), np.array([1, 0.1, 2, 0.5, 0])
    mean *= spread

    def draw(z):
        x = np.full((len(z), 1, 28, 28), 0.5)
        x[:, 0, 0, :5] += z / 10
        return images.to_pixels(x)

    images, kl = Images(rng.integers(0, 256, (20, 28, 28, 1), np.uint8)), (mean ** 2).mean(0) / 2
    run = SimpleNamespace(images=images, draw=draw, codes=lambda n: (mean[:n], np.zeros((n, 5))),
                          n_measured=20, kl_per_latent=lambda: kl)
    figures = explore._of_latents(run, (3, 5))
    _, columns, ((_, steps),) = figures['interpolation']
    assert columns == ['original', '0%', '12%', '25%', '38%', '50%', '62%', '75%', '88%', '100%',
                       'original'] and len(steps) == len(columns)
    assert (steps[0] == images.between(3, 4)[0]).all()
    assert (steps[-1] == images.between(5, 6)[0]).all()
    for place, z in ((1, mean[3]), (5, (mean[3] + mean[5]) / 2), (9, mean[5])):
        np.testing.assert_allclose(steps[place, 0, :5, 0], 127.5 + 25.5 * z, atol=1)
    title, values, rows = figures['traversals']
    assert 'Held-out image 3' in title and values[0] == '-3.0' and values[-1] == '+3.0'
    assert [label for label, _ in rows] == [
        f'latent {i}\nKL {kl[i]:.2f}' for i in np.argsort(-kl)]
    for label, shown in rows:
        latent = int(label.split()[1])
        np.testing.assert_allclose(shown[:, 0, latent, 0],
                                   127.5 + 25.5 * np.linspace(-3, 3, 9), atol=1)
        others = np.delete(np.arange(5), latent)
        np.testing.assert_allclose(shown[:, 0, others, 0], np.tile(
            127.5 + 25.5 * mean[3, others], (9, 1)), atol=1)


def test_vaegan_is_explored(cli, tmp_path, data_root):
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']
    assert cli(['run', 'VAEGAN_on_MNIST/B_20_50', '--limit', '16', '--epochs', '1', *(
        word for field in ('n_latent', 'n_hnodes', 'disc_hnodes')
        for word in ('--set', f'{field}=8')), *where])[0] == 0
    status, out, err = cli(['explore', '--match', '*', *where])
    assert status == 0 and len(out.split()) == 4, err


def test_foreign_pictures_in_a_folder_are_left_alone(cli, results):
    """Names that begin like ours, but have no number or another form of it."""
    folder = Path(results[1]) / RUN
    foreign = [folder / name for name in ('samples_mine.png', 'strip_x.png', 'strip_2.png',
                                          'samples_.png', 'strip_0002.png')]
    for path in foreign:
        path.write_bytes(b'no picture')
    assert [path.name for path in pictures.snapshots_in(folder)] == [
        'strip_002.png', 'strip_004.png']
    assert pictures.samples_in(folder) == []
    for command in (['strips', RUN, *results], ['explore', RUN, *results],
                    ['report', *results[:2]]):
        status, _, err = cli(command)
        assert status == 0, err
    assert {path.read_bytes() for path in foreign} == {b'no picture'}
    for path in foreign:
        path.unlink()


def test_readme_is_given_what_was_published_of_its_own_row(cli, tmp_path):
    folder = shutil.copytree(RESULTS / 'images' / COMBO, tmp_path / COMBO)
    before = (folder / 'README.md').read_text()
    status, _, err = cli(['strips', COMBO, '--results-root', str(tmp_path), '--ctx', 'cpu'])
    assert status == 0 and (folder / 'README.md').read_text() == before, err
    assert '| 49, published |' in before


def test_snapshots_are_the_strips_of_their_epochs(results):
    folder = Path(results[1]) / RUN
    first, last = (np.asarray(Image.open(folder / name))
                   for name in ('strip_002.png', 'strip_004.png'))
    assert (last == np.asarray(Image.open(folder / pictures.STRIP))).all()
    assert (last != first).any()
    with Image.open(folder / pictures.STRIP_ANIMATION) as animation:
        one, two = (np.asarray(frame.convert('L')) for frame in ImageSequence.Iterator(animation))
    assert (one[:pictures.LABEL_HEIGHT] != two[:pictures.LABEL_HEIGHT]).any()  # they are labelled
    readme = (folder / 'README.md').read_text()
    assert pictures.STRIP_ANIMATION in readme and 'The ten pictures after 2, 4 epochs:' in readme
    assert 'Epochs are numbered from 0' in readme
