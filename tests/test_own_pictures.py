"""`reconstruct`, `sample`, `interpolate` and `encode`, on pictures of no data set."""
import csv
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import cpu, nd
from PIL import Image

from data.images import Images
from models.vae import VAE
from training.evaluation import metrics
from training.evaluation.interpolation import path
from training.evaluation.trained_net import TrainedNet
from training.experiments.registry import EXPERIMENTS
from training.reporting import latents
from training.storage import run_folder

DIGITS = 'DenseVAE_on_MNIST/5_3_400_bce_50'
FACES = 'ConvVAE_on_anime/128_16_100_repaired'
SMALL = {DIGITS: ['--limit', '640', '--set', 'n_hnodes=16'],
         FACES: ['--limit', '64', '--set', 'vae_base_channels=2', '--set', 'n_latent=4']}


@pytest.fixture(scope='module', params=[DIGITS, FACES], ids=['digits', 'faces'])
def finished(request, tmp_path_factory, data_root):
    """The name of a finished run, and the options that say where it is."""
    from training import __main__ as main
    root = tmp_path_factory.mktemp('results')
    assert main.main(['run', request.param, '--epochs', '1', *SMALL[request.param], '--data-root',
                      str(data_root), '--results-root', str(root), '--ctx', 'cpu']) == 0
    (run, _), = run_folder.finished_runs(root).items()
    return run, ['--results-root', str(root), '--ctx', 'cpu'], root / run


@pytest.fixture
def mine(tmp_path):
    """Seventy pictures of any size, more than a batch."""
    rng, folder = np.random.default_rng(0), tmp_path / 'mine'
    folder.mkdir()
    for i in range(70):
        pixels = rng.integers(0, 256, (20 + i, 90 - i, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{i:02d}.png')
    return folder


def read(file) -> np.ndarray:
    return np.asarray(Image.open(file))


def test_pictures_are_drawn_again_and_measured(cli, finished, mine, tmp_path):
    run, where, _ = finished
    out = tmp_path / 'out'
    status, _, err = cli(['reconstruct', run, str(mine), '--out', str(out), '--mean', *where])
    assert status == 0, err
    lines = list(csv.DictReader((out / 'pictures.csv').open()))
    side = 28 if run.startswith('Dense') else 64
    assert len(lines) == 70 and [line['picture'] for line in lines] == [
        str(mine / f'{i:02d}.png') for i in range(70)]
    status, _, err = cli(['encode', run, str(mine), '--out', str(tmp_path / 'z.npz'), *where])
    assert status == 0, err
    codes = np.load(tmp_path / 'z.npz')
    kl = metrics.kl_per_latent(codes['mean'][5:6], codes['logvar'][5:6]).sum()
    assert float(lines[5]['kl']) == pytest.approx(kl, rel=1e-5)
    again = read(out / lines[5]['file'])
    assert again.shape[:2] == (side, side)
    picture = Image.open(mine / '05.png').convert('RGB' if side == 64 else 'L')
    edge = min(picture.size)
    box = [(length - edge) / 2 for length in picture.size]
    square = picture.resize((side, side), Image.Resampling.LANCZOS,
                            (*box, box[0] + edge, box[1] + edge))
    error = ((np.asarray(square, float) - again) ** 2).mean()
    assert float(lines[5]['psnr']) == pytest.approx(10 * np.log10(255 ** 2 / error), abs=0.05)
    assert read(out / 'sheet.png').ndim == (2 if side == 28 else 3)


def test_latent_is_sampled_with_its_standard_deviation():
    """Of an encoder that says 0.5 and log 0.01, and a decoder that draws the latent."""
    vae = SimpleNamespace(encoder=lambda x: nd.array(np.full((len(x), 2), (0.5, np.log(0.01)))),
                          split=VAE.split, decoder=lambda z: z.reshape((-1, 1, 1, 1)))
    row = replace(EXPERIMENTS[DIGITS], n_latent=1)
    net = TrainedNet(row, None, vae, cpu(), Images(np.zeros((0, 1, 1, 1), np.uint8)))
    pictures = np.zeros((4000, 1, 1, 1), np.uint8)
    drawn, mean, logvar = net.reconstruct(pictures, seed=1)
    assert (drawn / 255).std() == pytest.approx(0.1, rel=0.05)
    assert (drawn / 255).mean() == pytest.approx(0.5, abs=0.01) == mean.mean()
    assert (net.reconstruct(pictures, seed=1)[0] == drawn).all()
    assert (net.reconstruct(pictures, seed=2)[0] != drawn).mean() > 0.9
    assert np.ptp(net.reconstruct(pictures, seed=None)[0]) == 0


def test_seed_says_which_latent_is_drawn(cli, finished, mine, tmp_path):
    run, where, _ = finished
    drawn = {}
    for name, options in (('a', ['--seed', '1']), ('b', ['--seed', '1']), ('c', ['--seed', '2']),
                          ('d', ['--mean'])):
        assert cli(['reconstruct', run, str(mine / '00.png'), '--out', str(tmp_path / name),
                    *options, *where])[0] == 0
        drawn[name] = next((tmp_path / name).glob('0000_*')).read_bytes()
    assert drawn['a'] == drawn['b'] and len(set(drawn.values())) == 3


def test_what_becomes_of_a_picture_hangs_on_nothing_else(cli, finished, mine, tmp_path):
    run, where, _ = finished
    for name, pictures in (('all', [mine]), ('one', [mine / '69.png']),
                           ('two', [mine / '00.png', mine / '69.png'])):
        status, _, err = cli(['reconstruct', run, *map(str, pictures), '--mean', '--out',
                              str(tmp_path / name), *where])
        assert status == 0, err
    drawn = [read(next((tmp_path / name).glob('*_69.png'))) for name in ('all', 'one', 'two')]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] == drawn[2]).all()


def test_a_zip_gives_what_its_folder_gives(cli, finished, mine, tmp_path):
    run, where, _ = finished
    with zipfile.ZipFile(tmp_path / 'mine.zip', 'w') as archive:
        for file in sorted(mine.iterdir()):
            archive.write(file, f'top/{file.name}')
    found = []
    for place in (mine, tmp_path / 'mine.zip'):
        out = tmp_path / f'{place.name}.csv'
        assert cli(['encode', run, str(place), '--out', str(out), *where])[0] == 0
        found.append([list(line.values())[1:] for line in csv.DictReader(out.open())])
    assert found[0] == found[1] and len(found[0]) == 70


@pytest.mark.parametrize('name', [b'f\xfcr', b'a' * 246, '漢'.encode() * 82],
                         ids=['no UTF-8', 'long', 'long, of wide letters'])
def test_pictures_of_any_name_are_drawn_and_encoded(cli, finished, mine, tmp_path, name):
    run, where, _ = finished
    picture = (mine / '05.png').rename(mine / os.fsdecode(name + b'.png'))
    for out in ('drawn', 'z.csv', 'z.npz'):
        command = 'encode' if '.' in out else 'reconstruct'
        status, _, err = cli([command, run, str(picture), '--out', str(tmp_path / out), *where])
        assert status == 0, err
    shown = f'{mine}/' + name.decode(errors='backslashreplace') + '.png'
    for table in ('z.csv', 'drawn/pictures.csv'):
        line, = csv.DictReader((tmp_path / table).open(encoding='utf-8'))
        assert line['picture'] == shown
    assert np.load(tmp_path / 'z.npz')['names'].tolist() == [shown]
    assert len([*(tmp_path / 'drawn').glob('0000_*.png')]) == 1


def apart(one: Path, other: Path) -> int:
    """Of 255, between two pictures."""
    return int(np.abs(read(one).astype(int) - read(other)).max())


@pytest.mark.parametrize('suffix', ['npz', 'csv'])
def test_latents_out_of_a_file_are_drawn(cli, finished, mine, tmp_path, suffix):
    run, where, folder = finished
    file = tmp_path / f'z.{suffix}'
    assert cli(['encode', run, str(mine), '--out', str(file), *where])[0] == 0
    assert cli(['reconstruct', run, str(mine), '--mean', '--out', str(tmp_path / 'a'),
                *where])[0] == 0
    parameters = folder / run_folder.PARAMETERS
    parameters.rename(tmp_path / 'kept')
    try:  # the decoder alone will do
        status, out, err = cli(['decode', run, str(file), '--out', str(tmp_path / 'b'), *where])
    finally:
        (tmp_path / 'kept').rename(parameters)
    assert status == 0 and out.splitlines() == [str(tmp_path / 'b' / 'sheet.png')], err
    for i in (0, 69):  # what encode wrote is drawn as reconstruct draws it, by rounded weights
        name = f'{i:04d}_{i:02d}.png'
        assert apart(tmp_path / 'a' / name, tmp_path / 'b' / name) <= 1
    # What a user made of them: the mean of two, called z and by no names
    mean = latents.read(file, 5 if run.startswith('Dense') else 4)[1]
    np.savez(tmp_path / 'own.npz', z=mean[:2].mean(axis=0, keepdims=True))
    assert cli(['decode', run, str(tmp_path / 'own.npz'), '--out', str(tmp_path / 'c'),
                *where])[0] == 0
    assert read(tmp_path / 'c' / '0000.png').std() > 0


def test_samples_come_with_their_latents(cli, finished, tmp_path):
    run, where, _ = finished
    assert cli(['sample', run, '--n', '5', '--out', str(tmp_path / 'a'), *where])[0] == 0
    assert cli(['decode', run, str(tmp_path / 'a' / 'latents.csv'), '--out', str(tmp_path / 'b'),
                *where])[0] == 0
    for i in range(5):
        drawn = read(tmp_path / 'b' / f'{i:04d}_{i:04d}.png')
        assert (drawn == read(tmp_path / 'a' / f'{i:04d}.png')).all()


def test_samples_around_a_picture_are_near_its_latent(cli, finished, mine, tmp_path):
    run, where, _ = finished
    z = {}
    n = 5 if run.startswith('Dense') else 4
    for spread in ('0.001', '2'):
        assert cli(['sample', run, '--around', str(mine / '03.png'), '--spread', spread, '--n',
                    '400', '--out', str(tmp_path / spread), *where])[0] == 0
        z[spread] = latents.read(tmp_path / spread / 'latents.csv', n)[1]
    assert cli(['encode', run, str(mine / '03.png'), '--out', str(tmp_path / 'z.csv'),
                *where])[0] == 0
    mean = latents.read(tmp_path / 'z.csv', n)[1][0]
    np.testing.assert_allclose(z['0.001'], np.broadcast_to(mean, (400, n)), atol=0.006)
    np.testing.assert_allclose(z['2'].mean(axis=0), mean, atol=0.4)
    np.testing.assert_allclose(z['2'].std(axis=0), 2, rtol=0.15)


@pytest.mark.parametrize('make, message', [
    (lambda path: np.savez(path, z=np.zeros((3, 2))), 'latents of shape (3, 2), expected (n, '),
    (lambda path: np.savez(path, mean=np.full((1, 5), np.nan)), 'a latent that is not finite'),
    (lambda path: np.savez(path, logvar=np.zeros((1, 5))), 'expected latents called z or mean'),
    (lambda path: np.savez(path, z=np.array([None])), 'cannot be read'),
    (lambda path: path.write_bytes(b'no archive'), 'cannot be read'),
    (lambda path: path.with_suffix('.csv').write_text('picture\n'), 'no latents'),
    (lambda path: path.with_suffix('.csv').write_text('z_0,z_1\n1,x\n'), 'cannot be read'),
    (lambda path: path.with_suffix('.csv').write_text('z_0\n1,2,3\n'), 'z'),
    (lambda path: path.with_suffix('.txt').write_text('1'), 'ends in .npz or .csv')])
def test_bad_latents_are_one_line(cli, finished, tmp_path, make, message):
    run, where, _ = finished
    if not run.startswith('Dense'):
        pytest.skip('the same for all nets')
    make(tmp_path / 'z.npz')
    path, = tmp_path.glob('z.*')
    status, _, err = cli(['decode', run, str(path), '--out', str(tmp_path / 'out'), *where])
    line, = err.splitlines()
    assert status == 2 and line.startswith(f'error: {path}: ') and message in line
    assert not (tmp_path / 'out').exists()


def test_samples_come_again_and_from_pictures_alone(cli, finished, tmp_path):
    run, where, folder = finished
    for name, n, seed in (('a', 70, 3), ('b', 5, 3), ('c', 5, 4)):
        status, _, err = cli(['sample', run, '--n', str(n), '--seed', str(seed), '--out',
                              str(tmp_path / name), *where])
        assert status == 0, err
    first = [(tmp_path / 'a' / f'{i:04d}.png').read_bytes() for i in range(5)]
    assert [(tmp_path / 'b' / f'{i:04d}.png').read_bytes() for i in range(5)] == first
    assert [(tmp_path / 'c' / f'{i:04d}.png').read_bytes() for i in range(5)] != first
    parameters = folder / run_folder.PARAMETERS
    parameters.rename(tmp_path / 'kept')
    try:  # as in a clone: the decoder alone is there
        assert cli(['sample', run, '--n', '5', '--seed', '3', '--out', str(tmp_path / 'd'),
                    *where])[0] == 0
        status, _, err = cli(['encode', run, str(tmp_path / 'b'), '--out',
                              str(tmp_path / 'z.npz'), *where])
    finally:
        (tmp_path / 'kept').rename(parameters)
    assert all(apart(tmp_path / 'd' / f'{i:04d}.png', tmp_path / 'b' / f'{i:04d}.png') <= 1
               for i in range(5))  # weights are rounded there
    assert status == 2 and 'vae.params: not there' in err and not (tmp_path / 'z.npz').exists()


@pytest.mark.parametrize('options', [[], ['--spherical']], ids=['linear', 'spherical'])
@pytest.mark.parametrize('suffix', ['png', 'gif'])
def test_way_between_two_pictures_begins_and_ends_with_them(cli, finished, mine, tmp_path,
                                                            suffix, options):
    run, where, _ = finished
    out, ends = tmp_path / f'way.{suffix}', [str(mine / '00.png'), str(mine / '01.png')]
    status, _, err = cli(['interpolate', run, *ends, '--steps', '5', '--out', str(out), *options,
                          *where])
    assert status == 0, err
    assert cli(['reconstruct', run, *ends, '--mean', '--out', str(tmp_path / 'ends'),
                *where])[0] == 0
    if suffix == 'gif':
        assert Image.open(out).n_frames == 8  # there and back
        return
    step = (read(out).shape[1] + 4) // 5
    factor = (step - 4) // (28 if run.startswith('Dense') else 64)
    for place, name in ((0, '0000_00.png'), (4, '0001_01.png')):
        shown = read(out)[::factor, place * step:place * step + step - 4:factor]
        assert (shown == read(tmp_path / 'ends' / name)).all()


def test_path_is_straight_or_on_a_circle():
    start, end = np.array([3.0, 0, 0]), np.array([0, 1.0, 0])
    assert np.allclose(path(start, end, 3, spherical=False), [start, (start + end) / 2, end])
    round_about = path(start, end, 3, spherical=True)
    assert np.allclose(round_about, [start, [2 ** 0.5, 2 ** 0.5, 0], end])  # of length 2 halfway
    assert np.allclose(path(start, -start, 3, spherical=True)[1], 0)
    assert np.allclose(path(start, 0 * end, 2, spherical=True), [start, 0 * end])


@pytest.mark.parametrize('command, message', [
    (['reconstruct', '{run}', '{mine}', '--out', '{full}'], '{full}: there already; --force'),
    (['sample', '{run}', '--out', '{full}'], '{full}: there already; --force writes over it'),
    (['encode', '{run}', '{mine}/00.png', '--out', '{full}/a.npz'], 'a.npz: there already'),
    (['encode', '{run}', '{mine}/00.png', '--out', 'z.txt'], 'expected a name that ends in .npz'),
    (['interpolate', '{run}', '{mine}/00.png', '{mine}/01.png', '--out', 'z.jpg'], '.png or .gif'),
    (['interpolate', '{run}', '{mine}', '{mine}', '--out', 'z.png'], '140 pictures, expected 2'),
    (['reconstruct', '{run}', '{mine}/nix.png', '--out', 'o'], 'nix.png: no such file'),
    (['reconstruct', '{run}', '{full}', '--out', 'o'], 'no .bmp, .gif'),
    (['reconstruct', '{run}', '{bad}', '--out', 'o'], 'bad.png: not a readable image'),
    (['sample', 'no/such', '--out', 'o'], 'no/such'),
])
def test_mistake_is_one_line_and_leaves_everything(cli, finished, mine, tmp_path, monkeypatch,
                                                   command, message):
    run, where, _ = finished
    full, bad = tmp_path / 'full', tmp_path / 'bad.png'
    full.mkdir()
    (full / 'a.npz').write_text('mine')
    bad.write_text('no picture')
    monkeypatch.chdir(tmp_path)
    places = {'run': run, 'mine': mine, 'full': full, 'bad': bad}
    before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
    status, _, err = cli([*(word.format(**places) for word in command), *where])
    assert status == 2 and message.format(**places) in err.splitlines()[-1], err
    assert 'Traceback' not in err
    assert {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()} == before


def test_broken_pictures_are_left_out_if_asked_and_force_writes_over(cli, finished, mine,
                                                                     tmp_path):
    run, where, _ = finished
    (mine / '00.png').write_text('no picture')
    out = ['--out', str(tmp_path / 'out')]
    for _ in range(2):
        status, _, err = cli(['reconstruct', run, str(mine), '--skip-bad', '--force', *out,
                              *where])
        assert status == 0 and 'cannot be read, left out: 1' in err
    assert len([*(tmp_path / 'out').glob('????_*.png')]) == 69
