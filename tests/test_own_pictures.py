"""`reconstruct`, `sample`, `interpolate` and `encode`, on pictures of no data set."""
import codecs
import contextlib
import csv
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import cpu, nd
from PIL import Image

from data.images import Images
from data.loading import Dataset
from models.vae import VAE
from tests.small_pictures import encoded, noise, write_folder, write_zip
from training import __main__ as main
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
    """A finished run: its name and folder, options that say where it is, its sizes."""
    root = tmp_path_factory.mktemp('results')
    assert main.main(['run', request.param, '--epochs', '1', *SMALL[request.param], '--data-root',
                      str(data_root), '--results-root', str(root), '--ctx', 'cpu']) == 0
    (run, _), = run_folder.finished_runs(root).items()
    side, n_latent = (28, 5) if request.param == DIGITS else (64, 4)
    return SimpleNamespace(name=run, folder=root / run, side=side, n_latent=n_latent,
                           where=['--results-root', str(root), '--ctx', 'cpu'])


@pytest.fixture
def make(cli, finished, tmp_path):
    """What a command makes of that run: command, name to write, more words -> its path."""
    def call(command: str, out: str, *words) -> Path:
        status, _, call.err = cli([command, finished.name, *map(str, words), '--out',
                              str(tmp_path / out), *finished.where])
        assert status == 0, call.err
        return tmp_path / out
    return call


@pytest.fixture
def mine(tmp_path):
    """Seventy pictures of any size, more than a batch."""
    return write_folder(tmp_path / 'mine', {f'{i:02d}.png': encoded(noise(i, 90 - i, 20 + i))
                                            for i in range(70)})


def read(file) -> np.ndarray:
    return np.asarray(Image.open(file))


def lines_of(file: Path) -> list[dict]:
    return list(csv.DictReader(file.open(encoding='utf-8')))


@contextlib.contextmanager
def as_in_a_clone(finished):
    """The decoder alone is there, with rounded weights."""
    parameters = finished.folder / run_folder.PARAMETERS
    kept = parameters.rename(finished.folder.parent / 'kept')
    try:
        yield
    finally:
        kept.rename(parameters)


def test_pictures_are_drawn_again_and_measured(make, finished, mine):
    out = make('reconstruct', 'out', mine, '--mean')
    lines, side = lines_of(out / 'pictures.csv'), finished.side
    assert [line['picture'] for line in lines] == [str(mine / f'{i:02d}.png') for i in range(70)]
    codes = np.load(make('encode', 'z.npz', mine))
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
    none = Images(np.zeros((0, 1, 1, 1), np.uint8))
    net = TrainedNet(row, None, vae, cpu(), Dataset(none, none))
    pictures = np.zeros((4000, 1, 1, 1), np.uint8)
    drawn, mean, logvar = net.reconstruct(pictures, seed=1)
    assert (drawn / 255).std() == pytest.approx(0.1, rel=0.05)
    assert (drawn / 255).mean() == pytest.approx(0.5, abs=0.01) == mean.mean()
    assert (net.reconstruct(pictures, seed=1)[0] == drawn).all()
    assert (net.reconstruct(pictures, seed=2)[0] != drawn).mean() > 0.9
    assert np.ptp(net.reconstruct(pictures, seed=None)[0]) == 0


def test_what_becomes_of_a_picture_hangs_on_the_seed_and_nothing_else(make, mine):
    first, last = mine / '00.png', mine / '69.png'
    drawn = [read(next(make('reconstruct', str(i), *words).glob('*_69.png'))).tobytes()
             for i, words in enumerate((
                 [mine, '--mean'], [last, '--mean'], [first, last, '--mean'],
                 [last, '--seed', 1], [last, '--seed', 1], [last, '--seed', 2]))]
    assert drawn[0] == drawn[1] == drawn[2] and drawn[3] == drawn[4]
    assert len({*drawn[2:]}) == 3


def test_what_is_no_picture_by_its_name_is_said(make, mine):
    photograph = (mine / '07.png').read_bytes()
    write_folder(mine, {'a.heic': b'', 'b.heic': b'', 'c.JFIF': photograph})
    zipped = write_zip(mine.with_name('my.zip'), {'d.png': photograph, 'sub/d.png': photograph,
                                                  'e.HEIC': b''})
    drawn = make('reconstruct', 'drawn', mine, zipped)
    assert make.err == 'files passed over: 3 no images by their names\n'
    assert {path.name for path in drawn.glob('007*')} == {'0070_c.png', '0071_d.png', '0072_d.png'}


@pytest.mark.parametrize('name', [b'f\xfcr', b'a' * 246, '漢'.encode() * 82],
                         ids=['no UTF-8', 'long', 'long, of wide letters'])
def test_pictures_of_any_name_are_drawn_and_encoded(make, mine, name):
    picture = (mine / '05.png').rename(mine / os.fsdecode(name + b'.png'))
    shown = f'{mine}/' + name.decode(errors='backslashreplace') + '.png'
    drawn = make('reconstruct', 'drawn', picture)
    for table in (make('encode', 'z.csv', picture), drawn / 'pictures.csv'):
        line, = lines_of(table)
        assert line['picture'] == shown
    assert np.load(make('encode', 'z.npz', picture))['names'].tolist() == [shown]
    assert len([*drawn.glob('0000_*.png')]) == 1


def apart(one: Path, other: Path) -> int:
    """Of 255, between two pictures."""
    return int(np.abs(read(one).astype(int) - read(other)).max())


@pytest.mark.parametrize('suffix', ['npz', 'csv'])
def test_latents_out_of_a_file_are_drawn(make, finished, mine, tmp_path, suffix):
    file = make('encode', f'z.{suffix}', mine)
    drawn = make('reconstruct', 'a', mine, '--mean')
    with as_in_a_clone(finished):
        again = make('decode', 'b', file)
    for name in ('0000_00.png', '0069_69.png'):  # as reconstruct draws it, by rounded weights
        assert apart(drawn / name, again / name) <= 1
    if suffix == 'csv':  # as Excel keeps it
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
        names, z = latents.read(file, finished.n_latent)
        assert z.shape == (70, finished.n_latent) and Path(names[0]).name == '00.png'
    # What a user made of them: the mean of two, called z and by no names
    mean = latents.read(file, finished.n_latent)[1]
    np.savez(tmp_path / 'own.npz', z=mean[:2].mean(axis=0, keepdims=True))
    assert read(make('decode', 'c', tmp_path / 'own.npz') / '0000.png').std() > 0


def test_samples_around_a_picture_are_near_its_latent(make, finished, mine):
    n = finished.n_latent
    near, far = (latents.read(make('sample', spread, '--around', mine / '03.png', '--spread',
                                   spread, '--n', 400) / 'latents.csv', n)[1]
                 for spread in ('0.001', '2'))
    mean = latents.read(make('encode', 'z.csv', mine / '03.png'), n)[1][0]
    np.testing.assert_allclose(near, np.broadcast_to(mean, (400, n)), atol=0.006)
    np.testing.assert_allclose(far.mean(axis=0), mean, atol=0.4)
    np.testing.assert_allclose(far.std(axis=0), 2, rtol=0.15)


@pytest.mark.parametrize('write, message', [
    (lambda path: np.savez(path, z=np.zeros((3, 2))), 'latents of shape (3, 2), expected (n, '),
    (lambda path: np.savez(path, mean=np.full((1, 5), np.nan)), 'a latent that is not finite'),
    (lambda path: np.savez(path, logvar=np.zeros((1, 5))), 'expected latents called z or mean'),
    (lambda path: np.savez(path, z=np.array([None])), 'cannot be read'),
    (lambda path: np.savez(path, names=['a', 'b'], z=np.zeros((3, 5))), '2 names of 3 latents'),
    (lambda path: np.savez(path, names='a', z=np.zeros((3, 5))), '1 names of 3 latents'),
    (lambda path: path.write_bytes(b'no archive'), 'cannot be read'),
    (lambda path: path.with_suffix('.csv').write_text('picture\n'), 'no latents'),
    (lambda path: path.with_suffix('.csv').write_text('z_0,z_1\n1,x\n'), 'cannot be read'),
    (lambda path: path.with_suffix('.csv').write_text(
        'picture,z_0,z_1,z_2,z_3,z_4\nan,apple,1,2,3,4,5\n'), 'line 2 has more values than'),
    (lambda path: path.with_suffix('.csv').write_text('z_0,z_5\n1,2\n'),
     'columns z_ of the numbers [0, 5], expected 0 to 1'),
    (lambda path: np.savez(path, z=np.zeros((1, 5), complex)), 'z of complex128, expected real'),
    (lambda path: path.with_suffix('.txt').write_text('1'), 'ends in .npz or .csv')])
def test_bad_latents_are_one_line(cli, finished, tmp_path, write, message):
    if finished.side == 64:
        pytest.skip('the same for all nets')
    write(tmp_path / 'z.npz')
    path, = tmp_path.glob('z.*')
    status, _, err = cli(['decode', finished.name, str(path), '--out', str(tmp_path / 'out'),
                          *finished.where])
    line, = err.splitlines()
    assert status == 2 and line.startswith(f'error: {path}: ') and message in line
    assert not (tmp_path / 'out').exists()


def test_samples_come_again_by_seed_from_their_latents_and_in_a_clone(cli, make, finished,
                                                                      tmp_path):
    def five(folder: Path, name: str = '{0:04d}.png') -> list[bytes]:
        return [(folder / name.format(i)).read_bytes() for i in range(5)]

    samples = make('sample', 'a', '--n', 70, '--seed', 3)
    assert five(make('sample', 'b', '--n', 5, '--seed', 3)) == five(samples)
    assert five(make('sample', 'c', '--n', 5, '--seed', 4)) != five(samples)
    again = make('decode', 'again', samples / 'latents.csv')
    assert five(again, '{0:04d}_{0:04d}.png') == five(samples)
    with as_in_a_clone(finished):
        make('sample', 'd', '--n', 5, '--seed', 3)
        status, _, err = cli(['encode', finished.name, str(tmp_path / 'b'), '--out',
                              str(tmp_path / 'z.npz'), *finished.where])
    assert all(apart(tmp_path / 'd' / f'{i:04d}.png', samples / f'{i:04d}.png') <= 1
               for i in range(5))
    assert status == 2 and 'vae.params: not there' in err and not (tmp_path / 'z.npz').exists()


@pytest.mark.parametrize('options', [[], ['--spherical']], ids=['linear', 'spherical'])
def test_way_between_two_pictures_begins_and_ends_with_them(make, finished, mine, options):
    between = mine / '00.png', mine / '01.png'
    moving = make('interpolate', 'way.gif', *between, '--steps', 5, *options)
    assert Image.open(moving).n_frames == 8  # there and back
    way = read(make('interpolate', 'way.png', *between, '--steps', 5, *options))
    ends = make('reconstruct', 'ends', *between, '--mean')
    step = (way.shape[1] + 4) // 5
    factor = (step - 4) // finished.side
    for place, name in ((0, '0000_00.png'), (4, '0001_01.png')):
        shown = way[::factor, place * step:place * step + step - 4:factor]
        assert (shown == read(ends / name)).all()


def test_path_is_straight_or_on_a_circle():
    start, end = np.array([3.0, 0, 0]), np.array([0, 1.0, 0])
    assert np.allclose(path(start, end, 3, spherical=False), [start, (start + end) / 2, end])
    round_about = path(start, end, 3, spherical=True)
    assert np.allclose(round_about, [start, [2 ** 0.5, 2 ** 0.5, 0], end])  # of length 2 halfway
    assert np.allclose(path(start, -start, 3, spherical=True)[1], 0)
    assert np.allclose(path(start, 0 * end, 2, spherical=True), [start, 0 * end])


@pytest.mark.parametrize('command, message', [
    (['reconstruct', '{run}', '{mine}', '--out', '{full}'], '{full}: there already; --force'),
    (['encode', '{run}', '{mine}/00.png', '--out', '{full}/a.npz'], 'a.npz: there already'),
    (['encode', '{run}', '{mine}/00.png', '--out', 'z.txt'], 'expected a name that ends in .npz'),
    (['interpolate', '{run}', '{mine}/00.png', '{mine}/01.png', '--out', 'z.jpg'], '.png or .gif'),
    (['interpolate', '{run}', '{mine}', '{mine}', '--out', 'z.png'], '140 pictures, expected 2'),
    (['reconstruct', '{run}', '{bad}', '--out', 'o'], 'bad.png: not a readable image'),
])
def test_mistake_is_one_line_and_leaves_everything(cli, finished, mine, tmp_path, monkeypatch,
                                                   command, message):
    write_folder(tmp_path, {'full/a.npz': b'mine', 'bad.png': b'no picture'})
    monkeypatch.chdir(tmp_path)
    places = {'run': finished.name, 'mine': mine, 'full': tmp_path / 'full',
              'bad': tmp_path / 'bad.png'}
    before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
    status, _, err = cli([*(word.format(**places) for word in command), *finished.where])
    assert status == 2 and message.format(**places) in err.splitlines()[-1], err
    assert 'Traceback' not in err
    assert {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()} == before


def test_broken_pictures_are_left_out_if_asked_and_force_writes_over(make, mine):
    (mine / '00.png').write_text('no picture')
    for _ in range(2):
        out = make('reconstruct', 'out', mine, '--skip-bad', '--force')
        assert make.err == 'broken images left out: 1\n'
    assert len([*out.glob('????_*.png')]) == 69
