"""What is held out of a user's own pictures, and sets of pictures in several places."""
import hashlib
import json
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data import pictures
from data.fetch import Places
from data.loading import load
from training.experiments import naming
from training.reporting import pictures as png
from training.storage import run_folder

FACES, DIGITS = 'DenseVAE_on_anime/512_5_1024_200', 'DenseVAE_on_MNIST/5_3_400_bce_50'
SMALL = ['--epochs', '1', '--set', 'n_hnodes=8', '--set', 'n_hlayers=1', '--set', 'n_latent=2',
         '--set', 'batch_size=16', '--ctx', 'cpu']


@pytest.fixture
def places(data_root, tmp_path) -> dict[str, Path]:
    """120 pictures in three folders, of 60, 40 and 20."""
    with zipfile.ZipFile(data_root / 'anime_faces.zip') as archive:
        for i, name in enumerate(sorted(archive.namelist())):
            archive.extract(name, tmp_path / ('cats' if i < 60 else 'dogs' if i < 100 else 'test'))
    return {name: tmp_path / name for name in ('cats', 'dogs', 'test')}


@pytest.fixture
def run(cli, tmp_path, known_images):
    return lambda *words: cli(['run', FACES, *SMALL, '--results-root', str(tmp_path / 'results'),
                               *map(str, words)])


@pytest.fixture
def on(cli):
    return lambda command, folder, root, *words: cli([
        command, str(folder), '--data-root', str(root), '--ctx', 'cpu', *map(str, words)])


def roots(*paths: Path) -> list[str]:
    return [word for path in paths for word in ('--data-root', str(path))]


def in_name_order(path: Path) -> np.ndarray:
    dataset = load('anime', path, shuffle_seed=None, held_out=0.5)
    return np.concatenate([dataset.train.pixels, dataset.test.pixels])


def test_pictures_of_several_places_are_one_set_in_any_order(places, known_images):
    cats, dogs, test = places.values()
    parts = sorted(map(in_name_order, places.values()),
                   key=lambda part: hashlib.sha256(part.tobytes()).hexdigest())
    expected = np.concatenate(parts)[pictures.split_order(120, 0)]
    zipped = Path(shutil.make_archive(str(dogs.with_name('pets')), 'zip', dogs))
    sums = set()
    for of in ((cats, dogs, test), (test, dogs, cats), (zipped, cats, test)):
        dataset = load('anime', Places(of))
        assert (dataset.train.pixels == expected[:96]).all()
        assert (dataset.test.pixels == expected[96:]).all()
        assert (dataset.train.mirrored(9).between(8, 10)
                == [expected[8], expected[0][:, ::-1]]).all()
        sums.add((dataset.images, dataset.source['sha256']))
    assert len(sums) == 1 and load('anime', Places((cats, dogs))).images not in sums.pop()
    assert dataset.source['files'] == {'cats': 60, 'pets.zip': 40, 'test': 20}


@pytest.mark.parametrize('place', ['.', '../faces_2019.08', 'sub/..', '../faces_2019.08.ZIP'])
def test_a_place_is_called_as_it_is(places, tmp_path, monkeypatch, known_images, place):
    mine = shutil.copytree(places['cats'], tmp_path / 'faces_2019.08')
    zipped = Path(shutil.make_archive(str(mine), 'zip', mine))
    zipped.rename(zipped.with_suffix('.ZIP'))
    (mine / 'sub').mkdir()
    monkeypatch.chdir(mine)
    dataset = load('anime', Path(place)).called(None)
    assert dataset.source['description'] == 'faces_2019.08'
    assert dataset.source['files'] == {f'faces_2019.08{".ZIP" * place.endswith("ZIP")}': 60}


def test_command_of_a_run_names_all_its_places(run, on, places, tmp_path, monkeypatch):
    cats, dogs, _ = places.values()
    (dogs / 'list.txt').write_text('mine')
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*roots('dogs', cats))
    assert status == 0 and '80 training and 20 held-out images (files passed over: 1 no' in err
    finished = tmp_path / out.splitlines()[-1]
    config = run_folder.read_config(finished)
    assert config['data']['files'] == {'cats': 60, 'dogs': 40}
    assert config['data']['description'] in ('cats and dogs', 'dogs and cats')
    assert ' '.join(roots(dogs, cats)) in config['command'] and config['n_train'] == 80
    status, _, err = run(*roots(cats, dogs))
    assert status == 2 and run_folder.IN_THE_WAY in err
    for command in ('strips', 'evaluate', 'verify'):
        status, out, err = on(command, finished, cats, '--data-root', dogs)
        assert status == 0 and 'not drawn again' not in out, (command, out + err)


def test_shares_are_held_out_and_told_apart_where_the_data_are_gone(run, on, cli, data_root,
                                                                    tmp_path):
    small = load('anime', data_root, held_out=0.9, image_size=32)
    whole, runs = in_name_order(data_root)[pictures.split_order(120, 0)], {}
    for share, n_train in (('none', 96), ('0.3', 84), ('0.4', 72)):
        status, out, err = run('--data-root', data_root, '--held-out', share)
        assert status == 0, err
        folder = Path(out.splitlines()[-1])
        config = run_folder.read_config(folder)
        assert (config['n_train'], config['n_held_out']) == (n_train, 120 - n_train)
        named = (f'_held{share}_' in folder.name, f' --held-out {share} ' in config['command'],
                 f'with a share of {share} held out' in config['caption'])
        assert named == (share != 'none',) * 3
        dataset = load('anime', data_root, held_out=None if share == 'none' else float(share))
        assert (dataset.train.pixels == whole[:n_train]).all()
        assert (dataset.test.pixels == whole[n_train:]).all()
        assert dataset.images == small.images and f'_images-{small.images}' in folder.name
        for command in ('strips', 'evaluate'):
            status, _, err = on(command, folder, data_root)
            assert status == 0, err
        (folder / 'vae.params').unlink()
        runs[config['data']['sha256']] = folder, n_train
    assert len(runs) == 3
    for sha256, (folder, n_train) in runs.items():
        row = run_folder.row_of(run_folder.read_config(folder), folder)
        shown = png.read_originals(tmp_path / 'results' / naming.originals_name(row),
                                   'test_{}.png', sha256[:8], (64, 64))
        order = pictures.split_order(120, row.shuffle_seed)
        assert (shown == in_name_order(data_root)[order[n_train:n_train + 10]]).all()
        before = png.read(folder / 'strip.png').astype(int)
        for command in ('strips', 'verify'):
            status, out, err = cli([command, str(folder), '--ctx', 'cpu'])
            assert status == 0 and 'not drawn again' not in out, err
        assert np.abs(png.read(folder / 'strip.png') - before).max() <= 1


def test_published_share_is_no_change(cli):
    names = [json.loads(cli(['run', FACES, '--dry-run', *words])[1])[0]['run'] for words in (
        [], ['--held-out', '0.2'], ['--held-out', 'none'])]
    assert names == [FACES] * 3
    rows = json.loads(cli(['run', FACES, '--dry-run', '--held-out', '0.1,0.2,0.4'])[1])
    assert [row['held_out'] for row in rows] == [0.1, None, 0.4]
    assert json.loads(cli(['run', 'VAEGAN_on_adult/A_2048_100_lr1', '--dry-run', '--held-out',
                           '0.15'])[1])[0]['held_out'] is None


def test_pictures_of_another_place_are_held_out(run, on, places):
    cats, dogs, test = places.values()
    status, out, err = run('--data-root', cats, '--held-out', test)
    assert status == 0, err
    assert f'data: cats in {cats}, held-out ones in {test}, 60 training and 20 held-out' in err
    folder = Path(out.splitlines()[-1])
    config = run_folder.read_config(folder)
    assert (config['n_train'], config['n_held_out']) == (60, 20)
    assert config['data']['held_out'] == 'test'
    assert 'Those of test were held out.' in (folder / 'README.md').read_text()
    assert shlex.split(config['command'])[-6:-2] == [*roots(cats), '--held-out', str(test)]
    before = (folder / 'strip.png').read_bytes()
    for command in ('strips', 'evaluate', 'explore', 'verify'):
        status, out, err = on(command, folder, cats, '--held-out', test)
        assert status == 0 and 'not drawn again' not in out, (command, out + err)
    assert (folder / 'strip.png').read_bytes() == before
    status, _, err = on('strips', folder, cats)
    assert status == 2 and 'held out the pictures of test, which --held-out names' in err
    # Which pictures are which is a part of the name
    dataset = load('anime', Places((cats,), test))
    assert (dataset.test.pixels == in_name_order(test)).all()
    assert (dataset.train.pixels == in_name_order(cats)[pictures.split_order(60, 0)]).all()
    others = [load('anime', Places((cats,), test), shuffle_seed=5),
              load('anime', Places((cats,), Path(shutil.make_archive(str(test), 'zip', test))))]
    assert {one.images for one in others} == {dataset.images} and len(dataset.images) == 8
    unlike = [load('anime', Places(of, apart), held_out=None if apart else 0.5).images
              for of, apart in (((cats,), dogs), ((cats,), None), ((cats, test), None),
                                ((test, cats), dogs))]
    assert len({dataset.images, *unlike}) == 5 and f'_images-{dataset.images}_' in folder.name


def test_held_out_pictures_that_are_trained_are_counted(run, places):
    """And several seeds are measured on the same ones."""
    cats, _, test = places.values()
    said = 'held-out images are training images, too'
    status, out, err = run('--data-root', cats, '--held-out', test, '--seed', '1,2')
    assert status == 0 and out.count('| 1 epoch, seed ') == 2 and said not in err
    for i, path in enumerate(sorted(cats.iterdir())[:7]):
        shutil.copy(path, test / f'copy{i}.png')
    assert f'7 of the 27 {said}' in run('--data-root', cats, '--held-out', test)[2]


@pytest.mark.parametrize('name, words, said', [
    (FACES, ['--held-out', '0'], 'held_out=0.0: expected a finite number above 0'),
    (FACES, ['--held-out', '1'], 'held_out=1.0: expected at most 0.99'),
    (FACES, ['--held-out', 'nan'], 'held_out=nan: expected a finite number'),
    (FACES, ['--held-out', 'gone'], "'gone': no such file or folder"),
    (DIGITS, ['--set', 'data=sketch_digits', *roots('gone')], "'gone': no such file or folder"),
    (FACES, [*roots('cats'), '--held-out', 'none_there'], 'none_there: holds no pictures to hold'),
    (FACES, [*roots('cats'), '--held-out', 'cats/some'], 'cats/some: named twice, or inside of'),
    (FACES, [*roots('cats', 'dogs', 'cats/some')], 'cats/some: named twice, or inside of'),
    (FACES, [*roots('cats', 'cats')], 'cats: named twice'),
    (FACES, [*roots('cats'), '--held-out', '0.05'], '58 training and 3 held-out images, expected'),
    (FACES, [*roots('cats'), '--held-out', '0.9', '--set', 'batch_size=16'],
     '6 training images, expected a batch of 16'),
    (FACES, [*roots('cats'), '--held-out', 'few'],
     'cats, held-out ones in few: 61 training and 1 held-out images, expected 10'),
    (FACES, [*roots('cats'), '--held-out', 'test', '--set', 'held_out=0.3'],
     'held_out=0.3: expected none, for test is held out'),
    (DIGITS, ['--held-out', '0.3'], 'held_out=0.3: expected none, for MNIST comes as training'),
    (DIGITS, ['--held-out', 'test'], 'data=MNIST: expected one --data-root and no --held-out'),
    (DIGITS, roots('cats', 'dogs'), 'data=MNIST: expected one --data-root and no --held-out')])
def test_what_cannot_be_held_out_is_one_line(cli, places, tmp_path, monkeypatch, capsys, name,
                                             words, said):
    monkeypatch.chdir(tmp_path)
    for folder in ('none_there', 'few', 'cats/some'):
        Path(folder).mkdir()
    for to in ('few', 'cats/some'):
        shutil.copy('test/100.png', to)
    try:
        status, out, err = cli(['run', name, *words, '--results-root', 'results', '--ctx', 'cpu'])
    except SystemExit as stop:  # argparse's
        status, out, err = stop.code, '', capsys.readouterr().err
    assert status == 2 and out == '' and not Path('results').exists()
    assert said in err.splitlines()[-1], err


def test_run_that_an_older_version_began_goes_on(run, places, tmp_path, cut_off):
    cut_off(run, '--data-root', places['cats'])
    unfinished, = (tmp_path / 'results').glob('*/*.unfinished')
    config = run_folder.read_config(unfinished)
    assert 'held_out' not in config['row']  # at its default: as by a version without that field
    config['row']['held_out'] = None        # and by one that recorded all fields
    run_folder.write_config(unfinished, config)
    status, out, err = run('--data-root', places['cats'])
    assert status == 0 and 'going on after 1 of 1 epochs' in out, err
