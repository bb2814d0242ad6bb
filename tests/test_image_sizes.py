"""Faces of 32 x 32 and 128 x 128: how they are read, which nets take them, whole runs."""
import numpy as np
import pytest
from mxnet import nd
from PIL import Image, ImageOps

import models
from data import loading, table
from tests.small_pictures import encoded, noise, write_folder
from training.experiments import naming, registry
from training.experiments.row import ExperimentError
from training.storage import run_folder

REPAIRED = 'ConvVAE_on_anime/128_16_100_repaired'
SMALL = ['--set', 'n_latent=4', '--set', 'batch_size=8', '--limit', '16', '--epochs', '1']
CONV = ['--set', 'vae_base_channels=2', *SMALL]
SIZES = [32, 128]


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """A folder of 100 pictures of 150 x 130 pixels."""
    return write_folder(tmp_path_factory.mktemp('pictures') / 'anime_faces', {
        f'{i:03d}.png': encoded(noise(i, 15, 13).resize((150, 130), Image.Resampling.NEAREST))
        for i in range(100)})


def changed(name, **fields):
    return registry.changed(registry.get(name), [f'{k}={v}' for k, v in fields.items()])


@pytest.mark.parametrize('side', SIZES)
def test_pictures_are_scaled_from_what_they_are(pictures, side):
    dataset = loading.load('anime', pictures, shuffle_seed=None, image_size=side)
    assert dataset.shape == (3, side, side) and len(dataset.train) == 80
    for i in (0, 57):
        with Image.open(pictures / f'{i:03d}.png') as image:
            expected = np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS))
        assert (dataset.train.between(i, i + 1)[0] == expected).all()
    usual = loading.load('anime', pictures, shuffle_seed=None)  # the cache tells them apart
    assert usual.shape == (3, 64, 64) and usual.source['sha256'] != dataset.source['sha256']


def test_images_are_known_at_any_size(pictures, known_images, monkeypatch):
    other = loading.load('anime', pictures)
    assert other.images and loading.load('anime', pictures, image_size=32).images == other.images
    entry = table.SETS['anime']
    monkeypatch.setitem(table.SETS, 'anime', table.replace(entry, known=(other.source['sha256'],)))
    assert loading.load('anime', pictures, image_size=32).images is None


@pytest.mark.parametrize('side', SIZES)
@pytest.mark.parametrize('name', [REPAIRED, 'DenseVAE_on_anime/512_5_1024_200'])
def test_nets_make_images_of_the_size(name, side):
    row = changed(name, image_size=side, n_latent=3)
    vae = models.build_vae(row, table.get('anime').sized(side).shape)
    vae.initialize()
    x_hat, mean, _ = vae(nd.zeros((2, 3, side, side)), nd.zeros((2, 3)))
    assert x_hat.shape == (2, 3, side, side) and mean.shape == (2, 3)


@pytest.mark.parametrize('name, said', [
    ('ConvVAE_on_anime/512_32_200', "encoder='published': made for 64 x 64"),
    ('DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4', 'makes 64 x 64 images'),
    ('VAEGAN_on_anime/paper_128_200', 'makes 64 x 64 images')])
def test_other_nets_refuse(name, said):
    with pytest.raises(models.ModelError, match=said):
        models.build_vae(changed(name, image_size=32), (3, 32, 32))


@pytest.mark.parametrize('side', [0, 16, 48])
def test_only_these_sizes(side):
    with pytest.raises(ExperimentError, match='expected one of 32, 64, 128'):
        changed(REPAIRED, image_size=side)


@pytest.mark.parametrize('data', ['anime', 'sketch_faces'])
def test_usual_size_is_no_change(cli, data):
    ask = ['run', REPAIRED, '--dry-run', '--set', f'data={data}']
    _, plain, _ = cli(ask)
    status, sized, err = cli([*ask, '--set', 'image_size=64'])
    assert status == 0 and sized == plain and 'image_size=64 changes nothing' in err


def test_limit_that_leaves_nothing_out_is_no_change(cli, tmp_path, pictures):
    ask = ['run', REPAIRED, *CONV, '--results-root', str(tmp_path), '--ctx', 'cpu', '--data-root',
           str(pictures)]
    for limit, is_in_name in (('79', True), ('80', False)):
        status, out, err = cli([*ask, '--limit', limit])
        assert status == 0 and (f'_n{limit}' in out.splitlines()[-1]) == is_in_name
        assert ('changes nothing, for there are 80' in err) != is_in_name
    status, out, err = cli([*ask, '--limit', '70000'])
    assert status == 2 and 'a finished run is there' in err  # the one before
    assert 'changes nothing, for there are 80' in err


def test_sets_of_one_size_refuse(cli, tmp_path):
    status, _, err = cli(['run', 'DenseVAE_on_MNIST/5_3_400_bce_50', '--set', 'image_size=32',
                          '--results-root', str(tmp_path)])
    assert status == 2 and err == ('error: image_size=32: expected none, for only anime and adult '
                                   'are pictures of any size\n')


@pytest.mark.parametrize('name, side, words', [
    (REPAIRED, 32, CONV), (REPAIRED, 128, CONV),
    ('ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded', 32,
     ['--set', 'encoder=strided', '--set', 'disc_base_channels=2', *CONV]),
    ('DenseVAE_on_anime/512_5_1024_200', 128, ['--set', 'n_hnodes=4', *SMALL])])
def test_whole_runs(cli, tmp_path, pictures, name, side, words):
    root = tmp_path / 'root'
    where = ['--results-root', str(root), '--ctx', 'cpu', '--data-root', str(pictures)]
    status, out, err = cli(['run', name, *words, '--set', f'image_size={side}', *where])
    assert status == 0, err
    folder = root / out.splitlines()[-1]
    run = f'{folder.parent.name}/{folder.name}'
    assert f'_{side}x{side}' in run
    with Image.open(folder / '3.png') as image:
        assert image.size == (128, 128)
    originals = root / naming.originals_name(run_folder.row_of(run_folder.read_config(folder),
                                                               folder))
    assert f'_{side}x{side}' in originals.name and (originals / 'test_9.png').exists()
    for again in (where, where[:4]):
        status, out, err = cli(['verify', run, *again])
        assert status == 0 and 'strip drawn again' in out, out + err
        (folder / run_folder.PARAMETERS).unlink(missing_ok=True)  # as in a clone, without data
    status, _, err = cli(['sample', run, '--n', '2', '--out', str(tmp_path / 'drawn'), *where[:4]])
    assert status == 0, err
    with Image.open(sorted((tmp_path / 'drawn').glob('*.png'))[0]) as image:
        assert image.size == (side, side)
