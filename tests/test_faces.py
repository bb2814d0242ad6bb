"""Sets of faces: where they may be, the original's split, the cache, what is left out."""
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mxnet import nd, random
from PIL import Image

from data import DataError, MissingDataError, decoding, fetch
from data.loading import load
from data.pictures import split_order
from tests.small_pictures import encoded, write_folder, write_zip


def pictures(n: int) -> dict[str, bytes]:
    """PNG files by name, each in one colour of its own, of different sizes."""
    return {f'{i:03}.png': encoded(Image.new('RGB', (64 + i % 3, 64), (i, 2 * i, 255 - i)))
            for i in range(n)}


@pytest.fixture
def root(tmp_path):
    """A folder `anime_faces` of sixty pictures below a root."""
    write_folder(tmp_path / 'anime_faces', pictures(60))
    return tmp_path


def test_first_eighty_percent_of_the_shuffled_order_train(root):
    dataset = load('anime', root)
    order = split_order(60, 0)
    assert (dataset.train.pixels[:, 0, 0, 0] == order[:48]).all()
    assert (dataset.test.pixels[:, 0, 0, 0] == order[48:]).all()
    in_name_order = load('anime', root, shuffle_seed=None)
    assert (in_name_order.test.pixels[:, 0, 0, 0] == np.arange(48, 60)).all()


@pytest.mark.parametrize('n', [10, 64, 1000])
def test_split_order_is_that_of_mxnets_shuffle(n):
    features = nd.array(np.arange(5 * n).reshape(n, 5))
    random.seed(0)
    assert (nd.random.shuffle(features).asnumpy()[:, 0] // 5 == split_order(n, 0)).all()


# Where they may be


def in_folders(folder: Path) -> Path:
    """Sixty pictures in folders of their own."""
    return write_folder(folder, {f'{("a", "b/c")[i % 2]}/{name}': content
                                 for i, (name, content) in enumerate(pictures(60).items())})


@pytest.mark.parametrize('name, by', [
    ('people', 'option'), ('people', 'variable'), ('faces.zip', 'option'),
    ('faces.ZIP', 'variable'), ('holds/my faces.zip', 'option')])
def test_place_that_is_named_is_used(tmp_path, monkeypatch, by, name):
    place = path = tmp_path / name
    if name == 'people':
        in_folders(place)
    else:
        if place.parent != tmp_path:  # a folder with one zip in it, and a word about it
            place = write_folder(path.parent, {'README.txt': b'mine'})
        write_zip(path, {f'top/person {i % 3}/{i}.png': content
                         for i, content in enumerate(pictures(60).values())})
    if by == 'variable':
        monkeypatch.setenv('VAEGAN_DATA', str(place))
    dataset = load('anime', place if by == 'option' else None)
    assert len(dataset.train) + len(dataset.test) == 60 and dataset.paths == (path,)


@pytest.mark.parametrize('names, place', [
    (['faces.tar'], '.'), (['0.zip', '1.zip'], '.'), ([], '.'),
    (['adult_faces/0.png'], '.'),                                 # of another set of the table
    (['anime_faces.ndy'], 'anime_faces.ndy')])                    # as the original's
@pytest.mark.parametrize('by', ['option', 'variable'])
def test_place_that_is_named_and_holds_no_faces_is_refused(tmp_path, monkeypatch, by, names,
                                                           place):
    mine = tmp_path / 'mine'
    mine.mkdir()
    mine = write_folder(mine, dict.fromkeys(names, pictures(1)['000.png'])) / place
    in_folders(fetch.cache_dir() / 'anime_faces')  # never used in its place
    if by == 'variable':
        monkeypatch.setenv('VAEGAN_DATA', str(mine))
    there = f', but {len(names)} .' if names and mine.is_dir() else '$'
    with pytest.raises(DataError, match=f'{mine}.*: holds no (pictures|anime faces) '
                       f'.anime_faces or .*{there}') as error:
        load('anime', mine if by == 'option' else None)
    assert '\n' not in str(error.value)
    assert isinstance(error.value, MissingDataError) == (by == 'variable')


@pytest.mark.parametrize('contents, message, skip_bad', [
    ({}, 'no .bmp, .gif, .jfif, .jpeg, .jpg, .png, ', False),
    (pictures(42), '33 training and 9 held-out', False),  # four fifths, rounded down
    (pictures(60) | {'007.png': b'text'}, '007.png: not a readable image', False),
    (dict.fromkeys(pictures(60), b'text'), 'not a readable image', True),  # all of them
])
def test_folder_without_enough_pictures_is_one_line(tmp_path, contents, message, skip_bad):
    write_folder(tmp_path / 'anime_faces', contents).mkdir(exist_ok=True)
    with pytest.raises(DataError, match=message) as error:
        load('anime', tmp_path, skip_bad=skip_bad)
    assert 'anime_faces' in str(error.value) and '\n' not in str(error.value)


# What is passed over or left out


def test_what_is_no_picture_is_counted_and_linked_folders_are_read(root, tmp_path, cli):
    folder = root / 'anime_faces'
    (folder / 'linked').symlink_to(in_folders(tmp_path / 'elsewhere'))
    (folder / 'loop').symlink_to(folder)
    in_folders(folder / '.ipynb_checkpoints')
    write_folder(folder, {'.DS_Store': b'', 'list.csv': b'', 'README': b'', 'faces.txt': b'',
                          'old.jpg/x.png': pictures(1)['000.png'], '005.png': b'no picture'})
    os.mkfifo(folder / 'pipe.png')
    status, _, err = cli(['run', 'DenseVAE_on_anime/512_5_1024_200', '--epochs', '1', '--set',
                          'n_hnodes=4', '--set', 'n_latent=2', '--skip-bad', '--data-root',
                          str(root), '--results-root', str(tmp_path / 'out'), '--ctx', 'cpu'])
    words = ('broken images left out: 1; files passed over: 2 hidden, 1 links that lead back, '
             '3 no images by their names, 1 pipes or devices')
    assert status == 0 and err.splitlines()[0] == (  # of 60 + 60 + 1 - 1
        f'data: anime (anime faces) in {folder}, 96 training and 24 held-out images ({words})')
    readme, = (tmp_path / 'out').rglob('README.md')
    assert words in readme.read_text()
    assert ' --skip-bad"' in (readme.parent / 'config.json').read_text()


def test_broken_images_are_left_out_if_asked(root, decoded_paths):
    folder = root / 'anime_faces'
    (folder / '005.png').unlink()
    (folder / '005.png').symlink_to(folder / 'nowhere')
    (folder / '007.png').write_bytes(b'not a picture')
    for _ in range(2):
        with pytest.raises(DataError, match='005.png: cannot be read .No such file'):
            load('anime', root)
    decoded_paths.clear()
    for _ in range(2):
        dataset = load('anime', root, shuffle_seed=None, skip_bad=True)
        assert len(dataset.train) + len(dataset.test) == 58
        assert dataset.train.pixels[:7, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 6, 8]
        assert dataset.source['left_out'] == 2
    assert len(decoded_paths) == 1
    with pytest.raises(DataError, match='005.png'):  # as if they had never been
        load('anime', root)
    (folder / 'nowhere').write_bytes(pictures(6)['005.png'])  # it is there again
    assert load('anime', root, skip_bad=True).source['left_out'] == 1


# The cache


@pytest.fixture
def decoded_paths(monkeypatch) -> list:
    """What was decoded, and not taken from the cache."""
    seen, decode = [], decoding.decode_into

    def note(file, path, *arguments):
        seen.append(path.name)
        return decode(file, path, *arguments)
    monkeypatch.setattr(decoding, 'decode_into', note)
    return seen


def stored() -> list[Path]:
    return sorted(p for p in (fetch.cache_dir() / 'faces').iterdir()
                  if not p.name.startswith('.'))


def test_faces_are_decoded_once_for_their_content_and_mapped(root, tmp_path, decoded_paths):
    before = load('anime', root).source
    first = root / 'anime_faces' / '000.png'
    renamed = first.rename(first.with_name('999.png'))
    assert load('anime', root).source['sha256'] != before['sha256']
    renamed.rename(first)
    again = load('anime', root)
    assert again.source == before and isinstance(again.train._stored.base, np.memmap)
    assert not again.train._stored.flags.writeable
    (root / 'anime_faces').rename(tmp_path / 'elsewhere')
    assert load('anime', tmp_path / 'elsewhere').source['sha256'] == before['sha256']
    assert len(decoded_paths) == len(stored()) == 2


def test_whole_set_is_never_held_as_floats(root):
    dataset = load('anime', root)
    tracemalloc.start()
    for start in range(0, 48, 8):
        dataset.train[np.arange(start, start + 8)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 8 * 3 * 64 * 64 * 4


@pytest.mark.parametrize('why', ['cannot be written (Not a directory)', 'there is no home'])
def test_faces_are_decoded_into_memory_without_a_cache(root, monkeypatch, capsys, why):
    expected = load('anime', root).source
    if 'home' in why:
        monkeypatch.delenv('XDG_CACHE_HOME')
        monkeypatch.setattr(Path, 'home', lambda: (_ for _ in ()).throw(RuntimeError('no home')))
    else:
        (root / 'file').write_text('mine')
        monkeypatch.setenv('XDG_CACHE_HOME', str(root / 'file'))
    assert load('anime', root).source == expected  # its checksum among it
    err = capsys.readouterr().err
    assert why in err and err.endswith('; decoding into memory\n')


def test_pictures_that_change_while_they_are_read_leave_no_cache(root, monkeypatch):
    decode = decoding._decode

    def disturbed(source, shape):
        if source[0].endswith('030.png'):
            (root / 'anime_faces' / '001.png').write_bytes(pictures(1)['000.png'])
        return decode(source, shape)
    monkeypatch.setattr(decoding, '_decode', disturbed)
    with pytest.raises(DataError, match='anime_faces: has changed while it was read'):
        load('anime', root)
    assert not stored()
