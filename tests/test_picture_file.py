"""pictures.safetensors: strips, samples, interpolations and traversals without the encoder."""
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from mxnet import cpu
from PIL import Image

from data.images import Images
from data.loading import Dataset
from models.vae import VAE
from training import __main__ as main
from training.evaluation.trained_net import TrainedNet
from training.experiments.registry import EXPERIMENTS
from training.reporting import pictures
from training.storage import picture_file, run_folder

CONV = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded'
GAN = 'ConvDecoder_ResNet_on_anime/512_32_200'
SMALL = ['--epochs', '1', '--limit', '16', '--set', 'n_latent=4', '--set', 'vae_base_channels=2',
         '--set', 'batch_size=8', '--set', 'disc_base_channels=2']


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data_root) -> Path:
    """The results of two runs of an epoch, explored."""
    root = tmp_path_factory.mktemp('results')
    where = ['--results-root', str(root), '--data-root', str(data_root), '--ctx', 'cpu']
    for name in (CONV, GAN):
        assert main.main(['run', name, *SMALL, *where]) == 0
    assert main.main(['explore', '--match', '*', *where]) == 0
    return root


@pytest.fixture
def clone(trained, tmp_path):
    """Copies a run as a clone has it: its experiment -> folder, name, options that say where."""
    def call(experiment: str = CONV) -> tuple[Path, str, list[str]]:
        root = shutil.copytree(trained, tmp_path / 'results')
        folder, = root.glob(f'{experiment.split("/")[0]}/*')
        for path in folder.glob('*.params'):
            path.unlink()
        return (folder, f'{folder.parent.name}/{folder.name}',
                ['--results-root', str(root), '--ctx', 'cpu'])
    return call


def images(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob('*.png')}


def largest_difference(folder: Path, before: dict[str, bytes]) -> int:
    """Of 255, in what a folder's pictures show; the nearest of all images may be another."""
    assert images(folder).keys() == before.keys()
    return max(int(np.abs(np.asarray(Image.open(folder / name), int)
                          - np.asarray(Image.open(io.BytesIO(content)), int)).max())
               for name, content in before.items() if name != 'explore_nearest.png')


def darken(path: Path) -> None:
    pictures._save(pictures.read(path) // 2, path)


@pytest.mark.parametrize('name', [CONV, GAN])
def test_pictures_come_again_without_parameters_and_data(cli, clone, data_root, name):
    folder, run, where = clone(name)
    trained = images(folder)
    for command in ('strips', 'explore'):
        assert cli([command, run, *where, '--data-root', str(data_root)])[0] == 0
    assert largest_difference(folder, trained) <= 1  # weights are rounded to 16 bits
    before = images(folder)
    status, _, err = cli(['strips', run, *where])  # and without the data
    assert status == 0 and images(folder) == before, err
    status, _, err = cli(['explore', run, *where])
    assert status == 0 and 'no nearest images' in err and images(folder) == before, err
    status, out, _ = cli(['verify', run, *where])
    assert status == 0 and 'strip drawn again: largest difference 0/255' in out
    darken(folder / pictures.STRIP)
    run_folder.update_checksums(folder, pictures.STRIP)
    status, out, _ = cli(['verify', run, *where])
    assert status == 2 and 'differs by' in out


def test_weights_that_16_bits_cannot_hold_stay_as_they_are(tmp_path):
    decoder = {'0.weight': np.array([[1 / 3, -2.0]], np.float32),
               '1.weight': np.array([[1e5, 1 / 3]], np.float32),
               '1.bias': np.array([1 / 3], np.float32)}
    picture_file.save(tmp_path / 'file', decoder, {})
    held, latents = picture_file.load(tmp_path / 'file')
    assert {array.dtype for array in held.values()} == {np.dtype(np.float32)} and not latents
    assert held['0.weight'].tolist() == [[1365 / 4096, -2.0]]  # eleven digits of 1/3
    assert all((held[name] == decoder[name]).all() for name in ('1.weight', '1.bias'))


def test_pictures_come_again_where_the_usual_data_are_others(cli, clone, tmp_path, monkeypatch):
    (folder, run, where), others = clone(), tmp_path / 'others'
    (others / 'anime_faces').mkdir(parents=True)
    for i in range(60):
        Image.new('RGB', (64, 64), (i, i, i)).save(others / 'anime_faces' / f'{i:02d}.png')
    before = images(folder)
    status, _, err = cli(['strips', run, *where, '--data-root', str(others)])  # as was asked
    assert status == 2 and 'trained on data with sha256' in err
    monkeypatch.setenv('VAEGAN_DATA', str(others))
    status, _, err = cli(['strips', run, *where])
    assert status == 0 and largest_difference(folder, before) <= 1, err


def test_originals_of_other_images_beside_it_are_not_a_runs(cli, clone):
    folder, run, where = clone()
    before, originals = images(folder), [*folder.parents[1].glob('anime_test_images/*.png')]
    assert originals
    for path in originals:
        darken(path)
    for command in ('verify', 'strips', 'verify'):
        status, out, err = cli([command, run, *where])
        assert status == 0 and 'not drawn again' not in out, out + err
        assert largest_difference(folder, before) <= 1


def test_strip_that_was_changed_is_not_drawn_with_anyones_originals(cli, tmp_path, data_root,
                                                                    known_images):
    """Of a user's own images, whose originals are not here any more."""
    where = ['--results-root', str(tmp_path), '--ctx', 'cpu']
    status, _, err = cli(['run', CONV, *SMALL, *where, '--data-root', str(data_root)])
    assert status == 0, err
    folder, = tmp_path.glob('*_on_anime/*')
    (folder / run_folder.PARAMETERS).unlink()
    beside, = tmp_path.glob('anime_test_images_*')
    beside.rename(tmp_path / 'anime_test_images')
    darken(folder / pictures.STRIP)
    status, _, err = cli(['strips', f'{folder.parent.name}/{folder.name}', *where])
    assert status == 2 and 'anime' in err.splitlines()[-1]


def test_damaged_file_is_one_line(cli, clone):
    folder, run, where = clone()
    path, before = folder / run_folder.PICTURES, images(folder)
    content = path.read_bytes()
    for damaged in (b'', content[:-4], b'\xff' * 64):
        path.write_bytes(damaged)
        status, _, err = cli(['strips', run, *where])
        assert status == 2 and err.splitlines()[-1].startswith(
            f'error: {path}: not a whole file')
        assert images(folder) == before


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
