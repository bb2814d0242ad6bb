"""pictures.safetensors: strips, samples, interpolations and traversals without the encoder."""
import io
from pathlib import Path

import numpy as np
import pytest
from mxnet import cpu
from PIL import Image

from data.fetch import Places
from data.images import Images
from data.loading import Dataset
from models.vae import VAE
from training.commands import runs
from training.evaluation.trained_net import NoEncoderError, TrainedNet
from training.experiments.registry import EXPERIMENTS
from training.reporting import pictures
from training.storage import picture_file, run_folder

CONV = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded'
GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
SMALL = ['n_latent=4', 'vae_base_channels=2', 'batch_size=8', 'disc_base_channels=2']


def train(cli, root: Path, data_root: Path, name: str) -> tuple[Path, list[str]]:
    """Return the folder of a run of an epoch, and where it and its data are."""
    where = ['--results-root', str(root), '--ctx', 'cpu']
    status, _, err = cli(['run', name, '--epochs', '1', '--limit', '16', *where, '--data-root',
                          str(data_root), *(word for field in SMALL for word in ('--set', field))])
    assert status == 0, err
    return next(root.glob('*_on_anime/*')), where


def images(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob('*.png')}


def largest_difference(folder: Path, before: dict[str, bytes]) -> int:
    """Of 255, in what a folder's pictures show; the nearest of all images may be another."""
    assert images(folder).keys() == before.keys()
    return max(int(np.abs(np.asarray(Image.open(folder / name), int)
                          - np.asarray(Image.open(io.BytesIO(content)), int)).max())
               for name, content in before.items() if name != 'explore_nearest.png')


@pytest.mark.parametrize('name', [CONV, GAN])
def test_pictures_come_again_without_parameters_and_data(cli, tmp_path, data_root, name):
    folder, where = train(cli, tmp_path, data_root, name)
    at_hand = [*where, '--data-root', str(data_root)]
    run = f'{folder.parent.name}/{folder.name}'
    assert cli(['explore', run, *at_hand])[0] == 0
    trained = images(folder)
    for path in folder.glob('*.params'):
        path.unlink()
    assert cli(['strips', run, *at_hand])[0] == 0
    assert cli(['explore', run, *at_hand])[0] == 0
    assert largest_difference(folder, trained) <= 1  # weights are rounded to 16 bits
    before = images(folder)
    status, out, err = cli(['strips', run, *where])  # and without the data
    assert status == 0 and images(folder) == before, err
    status, out, err = cli(['explore', run, *where])
    assert status == 0 and 'no nearest images' in err and images(folder) == before, err
    status, out, _ = cli(['verify', run, *where])
    assert status == 0 and 'strip drawn again: largest difference 0/255' in out


@pytest.mark.parametrize('name', [CONV, GAN])
def test_run_with_its_data_reads_pictures_and_says_why_it_cannot_encode(cli, tmp_path, data_root,
                                                                        name):
    folder, _ = train(cli, tmp_path, data_root, name)
    (folder / run_folder.PARAMETERS).unlink()
    net = runs.load_run(folder, cpu(), Places((data_root,)))
    faces = net.read(folder / '0.png')
    assert faces.shape == (1, 64, 64, 3) and 'sample_sharpness' in net.measure(faces)
    with pytest.raises(NoEncoderError, match='not there' if name == CONV else 'plain GAN'):
        net.encode(faces)


def test_weights_that_16_bits_cannot_hold_stay_as_they_are(tmp_path):
    decoder = {'0.weight': np.array([[1 / 3, -2.0]], np.float32),
               '1.weight': np.array([[1e5, 1 / 3]], np.float32),
               '1.bias': np.array([1 / 3], np.float32)}
    picture_file.save(tmp_path / 'file', decoder, {})
    held, latents = picture_file.load(tmp_path / 'file')
    assert {array.dtype for array in held.values()} == {np.dtype(np.float32)} and not latents
    assert held['0.weight'].tolist() == [[1365 / 4096, -2.0]]  # eleven digits of 1/3
    assert all((held[name] == decoder[name]).all() for name in ('1.weight', '1.bias'))


def test_pictures_come_again_where_the_usual_data_are_others(cli, tmp_path, data_root,
                                                             monkeypatch):
    folder, where = train(cli, tmp_path / 'results', data_root, CONV)
    others = tmp_path / 'others'
    (others / 'anime_faces').mkdir(parents=True)
    for i in range(60):
        Image.new('RGB', (64, 64), (i, i, i)).save(others / 'anime_faces' / f'{i:02d}.png')
    (folder / run_folder.PARAMETERS).unlink()
    before, run = images(folder), f'{folder.parent.name}/{folder.name}'
    status, _, err = cli(['strips', run, *where, '--data-root', str(others)])  # as was asked
    assert status == 2 and 'trained on data with sha256' in err
    monkeypatch.setenv('VAEGAN_DATA', str(others))
    status, _, err = cli(['strips', run, *where])
    assert status == 0 and largest_difference(folder, before) <= 1, err


def test_originals_of_other_images_beside_it_are_not_a_runs(cli, tmp_path, data_root):
    folder, where = train(cli, tmp_path, data_root, CONV)
    (folder / run_folder.PARAMETERS).unlink()
    for path in tmp_path.glob('anime_test_images/*.png'):
        pictures._save(255 - pictures.read(path), path)
    before = images(folder)
    for command in ('verify', 'strips', 'verify'):
        status, out, err = cli([command, f'{folder.parent.name}/{folder.name}', *where])
        assert status == 0 and 'not drawn again' not in out, out + err
        assert largest_difference(folder, before) <= 1


def test_strip_that_was_changed_is_not_drawn_with_anyones_originals(cli, tmp_path, data_root,
                                                                    known_images):
    """Of a user's own images, whose originals are not here any more."""
    folder, where = train(cli, tmp_path, data_root, CONV)
    (folder / run_folder.PARAMETERS).unlink()
    beside, = tmp_path.glob('anime_test_images_*')
    beside.rename(tmp_path / 'anime_test_images')
    strip = folder / pictures.STRIP
    pictures._save(255 - pictures.read(strip), strip)
    status, _, err = cli(['strips', f'{folder.parent.name}/{folder.name}', *where])
    assert status == 2 and 'anime' in err.splitlines()[-1]


def test_changed_strip_is_noticed_without_parameters(cli, tmp_path, data_root):
    folder, where = train(cli, tmp_path, data_root, CONV)
    (folder / run_folder.PARAMETERS).unlink()
    strip = folder / pictures.STRIP
    pictures._save(255 - pictures.read(strip), strip)
    run_folder.update_checksums(folder, pictures.STRIP)
    status, out, _ = cli(['verify', *where])
    assert status == 2 and 'differs by' in out


@pytest.mark.parametrize('damage', [lambda content: b'', lambda content: content[:-4],
                                    lambda content: b'\xff' * 64])
def test_damaged_file_is_one_line(cli, tmp_path, data_root, damage):
    folder, where = train(cli, tmp_path, data_root, CONV)
    (folder / run_folder.PARAMETERS).unlink()
    path = folder / run_folder.PICTURES
    path.write_bytes(damage(path.read_bytes()))
    before = images(folder)
    status, _, err = cli(['strips', f'{folder.parent.name}/{folder.name}', *where])
    assert status == 2 and err.splitlines()[-1].startswith(f'error: {path}: not a whole file')
    assert images(folder) == before


def test_measures_of_all_images_need_the_parameters(cli, tmp_path, data_root):
    folder, where = train(cli, tmp_path, data_root, CONV)
    (folder / run_folder.PARAMETERS).unlink()
    run = f'{folder.parent.name}/{folder.name}'
    status, _, err = cli(['evaluate', run, *where, '--data-root', str(data_root)])
    assert status == 2 and f'{run_folder.PARAMETERS}: not there' in err
    status, _, err = cli(['explore', run, '--between', '0', '101', *where, '--data-root',
                          str(data_root)])
    assert status == 2 and 'expected less than the 24 held-out images' in err


def test_encoder_gets_few_images_at_once(monkeypatch):
    batches = []

    class Net:
        split = staticmethod(VAE.split)

        def encoder(self, x):
            batches.append(len(x))
            return x.reshape((len(x), -1))

    held_out = Images(np.random.default_rng(0).integers(0, 256, (25, 1, 4, 1), np.uint8))
    monkeypatch.setattr(TrainedNet, 'n_measured', 20)
    codes = TrainedNet(EXPERIMENTS[CONV], None, Net(), cpu(),
                       Dataset(held_out, held_out)).codes(25)
    assert batches == [10, 10, 5]  # of a run's end, where training's memory is still taken
    assert np.array_equal(np.concatenate(codes, axis=1), held_out[np.arange(25)].reshape(25, 4))
