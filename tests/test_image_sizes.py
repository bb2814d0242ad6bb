"""Faces of 32 x 32 and 128 x 128: which nets take them, whole runs."""
import pytest
from PIL import Image

import models
from tests.small_pictures import encoded, noise, write_folder
from training.experiments import naming, registry
from training.experiments.row import ExperimentError
from training.storage import run_folder

REPAIRED = 'ConvVAE_on_anime/128_16_100_repaired'
SMALL = ['--set', 'n_latent=4', '--set', 'batch_size=8', '--limit', '16', '--epochs', '1']
CONV = ['--set', 'vae_base_channels=2', *SMALL]


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """A folder of 100 pictures of 150 x 130 pixels."""
    return write_folder(tmp_path_factory.mktemp('pictures') / 'anime_faces', {
        f'{i:03d}.png': encoded(noise(i, 15, 13).resize((150, 130), Image.Resampling.NEAREST))
        for i in range(100)})


@pytest.mark.parametrize('name, side, said', [
    ('ConvVAE_on_anime/512_32_200', 32, "encoder='published': made for 64 x 64"),
    ('DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4', 32,
     'makes 64 x 64 images'),
    ('VAEGAN_on_anime/paper_128_200', 32, 'makes 64 x 64 images'),
    *((REPAIRED, side, 'expected one of 32, 64, 128') for side in (0, 16, 48))])
def test_other_nets_and_sizes_are_refused(name, side, said):
    with pytest.raises((models.ModelError, ExperimentError), match=said):
        models.build_vae(registry.changed(registry.get(name), [f'image_size={side}']),
                         (3, side, side))


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
    with Image.open(tmp_path / 'drawn' / '0000.png') as image:
        assert image.size == (side, side)
