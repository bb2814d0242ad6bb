"""Faces from folders and zips, and the original's split."""
import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from mxnet import nd, random
from PIL import Image

from data import DataError, MissingDataError, archives, decoding, fetch
from data.loading import load
from data.pictures import split_order


def read(path: Path, skip_bad: bool = False) -> np.ndarray:
    """The faces at a path, (n, 64, 64, 3) uint8, without the cache."""
    file = io.BytesIO()
    decoding.decode_into(file, path, skip_bad)
    return np.frombuffer(file.getvalue(), np.uint8).reshape(-1, 64, 64, 3)


def pictures(n: int) -> dict[str, bytes]:
    """PNG files by name, each in one colour of its own, of different sizes."""
    found = {}
    for i in range(n):
        buffer = io.BytesIO()
        Image.new('RGB', (64 + i % 3, 64), (i, 2 * i, 255 - i)).save(buffer, 'PNG')
        found[f'{i:03}.png'] = buffer.getvalue()
    return found


@pytest.fixture
def root(tmp_path):
    """A folder `anime_faces` of sixty pictures below a root."""
    folder = tmp_path / 'anime_faces'
    folder.mkdir()
    for name, content in pictures(60).items():
        (folder / name).write_bytes(content)
    return tmp_path


def test_zip_and_folder_give_the_same_faces_in_name_order(root, tmp_path):
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w') as archive:
        for name, content in reversed(pictures(60).items()):
            archive.writestr(f'anime_faces/{name}', content)
    from_folder = read(root / 'anime_faces')
    assert from_folder.shape == (60, 64, 64, 3)
    assert from_folder[:, 0, 0, 0].tolist() == list(range(60))
    assert (read(tmp_path / 'faces.zip') == from_folder).all()


def test_zip_with_folders_in_it_keeps_the_order_of_the_folder(tmp_path):
    names = ['b.png', 'a/1.png', 'a-1.png', 'B.jpg']
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w') as archive:
        for name, content in zip(names, pictures(4).values(), strict=True):
            archive.writestr(name, content)
    with zipfile.ZipFile(tmp_path / 'faces.zip') as archive:
        archive.extractall(tmp_path / 'faces')
    from_folder = read(tmp_path / 'faces')
    assert from_folder[:, 0, 0, 0].tolist() == [3, 1, 2, 0]
    assert (read(tmp_path / 'faces.zip') == from_folder).all()


def test_what_macos_puts_beside_images_is_passed_over(root, tmp_path):
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w') as archive:
        archive.writestr('faces/1.png', pictures(1)['000.png'])
        archive.writestr('__MACOSX/faces/._1.png', bytes(100))
    assert len(read(tmp_path / 'faces.zip')) == 1
    (root / 'anime_faces' / '._000.png').write_bytes(bytes(100))
    assert len(read(root / 'anime_faces')) == 60


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
    assert sorted(split_order(n, 0)) == list(range(n))


@pytest.mark.parametrize('mode, colour', [('L', 200), ('P', 3), ('RGBA', (9, 8, 7, 255)),
                                          ('CMYK', (1, 2, 3, 4)), ('1', 1), ('LA', (5, 255))])
def test_all_kinds_of_images_become_rgb(root, mode, colour):
    picture = Image.new(mode, (100, 30), colour)
    suffix = 'jpg' if mode == 'CMYK' else 'png'
    picture.save(root / 'anime_faces' / f'000.{suffix}')
    face = read(root / 'anime_faces')[0]
    assert face.shape == (64, 64, 3)
    assert np.abs(face[32, 32].astype(int) - picture.convert('RGB').getpixel((0, 0))).max() < 6


def decoded(root, picture: Image.Image, **options) -> list[int]:
    """The colour in the middle of a picture that went through a PNG file."""
    picture.save(root / 'anime_faces' / '000.png', **options)
    return read(root / 'anime_faces')[0][32, 32].tolist()


@pytest.mark.parametrize('mode, colour, expected', [
    ('RGBA', (255, 0, 0, 0), 255), ('LA', (0, 0), 255), ('RGBA', (0, 0, 0, 102), 153)])
def test_what_is_transparent_shows_white(root, mode, colour, expected):
    assert decoded(root, Image.new(mode, (64, 64), colour)) == [expected] * 3


def test_transparent_entries_of_a_palette_show_white(root):
    picture = Image.new('P', (64, 64), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    assert decoded(root, picture) == [10, 20, 30]
    assert decoded(root, picture, transparency=b'\xff\x00') == [255] * 3


@pytest.mark.parametrize('value', [0, 0x0100, 0x8000, 0xffff])
def test_sixteen_bits_of_grey_are_scaled(root, value):
    picture = Image.fromarray(np.full((64, 64), value, np.uint16))
    assert decoded(root, picture) == [value // 256] * 3


@pytest.mark.parametrize('size', [(16, 16), (16, 300), (17, 25), (500, 400)])
def test_any_size_becomes_64_by_64(root, size):
    assert decoded(root, Image.new('RGB', size, (10, 20, 30))) == [10, 20, 30]


@pytest.mark.parametrize('size', [(1, 1), (15, 300), (2000, 3)])
def test_picture_too_small_for_a_face_is_refused_by_name(root, size):
    with pytest.raises(DataError, match=f'000.png: {size[0]} x {size[1]} pixels, expected 16 or'):
        decoded(root, Image.new('RGB', size))
    assert len(load('anime', root, skip_bad=True).train) == 47


@pytest.mark.parametrize('orientation, turned', [
    (1, lambda x: x), (2, lambda x: x[:, ::-1]), (3, lambda x: x[::-1, ::-1]),
    (4, lambda x: x[::-1]), (5, lambda x: x.swapaxes(0, 1)), (6, lambda x: np.rot90(x, -1)),
    (7, lambda x: np.rot90(x, 2).swapaxes(0, 1)), (8, np.rot90), (99, lambda x: x)])
@pytest.mark.parametrize('suffix', ['png', 'webp'])
def test_faces_stand_as_their_camera_said(root, orientation, turned, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    exif = Image.Exif()
    exif[0x112] = orientation
    (root / 'anime_faces' / '000.png').unlink()
    Image.fromarray(pixels).save(root / 'anime_faces' / f'000.{suffix}', exif=exif, lossless=True)
    assert (read(root / 'anime_faces')[0] == turned(pixels)).all()


@pytest.mark.parametrize('suffix', ['webp', 'WEBP', 'gif', 'bmp', 'tif', 'tiff', 'JPG', 'jpeg'])
def test_usual_files_are_images_by_their_names(tmp_path, suffix):
    folder = tmp_path / 'mine'
    folder.mkdir()
    for i in range(60):
        Image.new('RGB', (64, 64), (i, i, i)).save(folder / f'{i:03}.{suffix}')
    dataset = load('anime', folder)
    assert len(dataset.train) + len(dataset.test) == 60 and 'passed_over' not in dataset.source


def in_folders(root: Path, names=('a', 'b/c')) -> None:
    """Sixty pictures in folders of their own."""
    for i, (name, content) in enumerate(pictures(60).items()):
        folder = root / names[i % len(names)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize('by', ['option', 'variable'])
@pytest.mark.parametrize('name', ['people', 'faces.zip', 'faces.ZIP', 'holds.zip'])
def test_place_that_is_named_is_used(tmp_path, monkeypatch, by, name):
    place = tmp_path / 'people'
    in_folders(place)
    if name != 'people':
        place = tmp_path / name
        if name == 'holds.zip':  # a folder with one zip in it, and a word about it
            place.mkdir()
            (place / 'README.txt').write_text('mine')
        archive = place / 'my faces.zip' if name == 'holds.zip' else place
        with zipfile.ZipFile(archive, 'w') as file:
            for i, content in enumerate(pictures(60).values()):
                file.writestr(f'top/person {i % 3}/{i}.png', content)
    if by == 'variable':
        monkeypatch.setenv('VAEGAN_DATA', str(place))
    dataset = load('anime', place if by == 'option' else None)
    assert len(dataset.train) + len(dataset.test) == 60
    assert dataset.paths == (archive if name == 'holds.zip' else place,)


@pytest.mark.parametrize('arrange', [
    lambda folder: (folder / 'faces.tar').write_bytes(b'x' * 2000),
    lambda folder: [(folder / f'{i}.zip').write_bytes(b'PK') for i in range(2)],
    lambda folder: in_folders(folder / 'adult_faces'),  # those of another set of the table
    lambda folder: (folder / 'anime_faces.ndy').write_bytes(b'x' * 2000),  # as the original's
    lambda folder: (folder / 'notes.txt').write_text('none yet')], ids=range(5))
@pytest.mark.parametrize('by', ['option', 'variable'])
def test_place_that_is_named_and_holds_no_faces_is_refused(tmp_path, monkeypatch, by, arrange):
    (tmp_path / 'mine').mkdir()
    arrange(tmp_path / 'mine')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    in_folders(fetch.cache_dir() / 'anime_faces')  # never used in its place
    if by == 'variable':
        monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'mine'))
    with pytest.raises(DataError, match=f'{tmp_path / "mine"}.*: holds no (pictures|anime '
                       'faces) .anime_faces or .*, but [1-9]0? .') as error:
        load('anime', tmp_path / 'mine' if by == 'option' else None)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['faces.tar', 'anime_faces.ndy'])
def test_file_that_is_no_zip_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b'x' * 2000)
    with pytest.raises(DataError, match=f'{name}: holds no pictures .* folder or zip'):
        load('anime', tmp_path / name)


def test_what_is_passed_over_is_counted_and_linked_folders_are_read(root, tmp_path, cli):
    folder = root / 'anime_faces'
    in_folders(tmp_path / 'elsewhere')
    (folder / 'linked').symlink_to(tmp_path / 'elsewhere')
    (folder / 'loop').symlink_to(folder)
    in_folders(folder / '.ipynb_checkpoints')
    (folder / '.DS_Store').write_text('')
    for name in ('list.csv', 'README', 'faces.txt'):
        (folder / name).write_text('')
    (folder / 'old.jpg').mkdir()
    (folder / 'old.jpg' / 'x.png').write_bytes(pictures(1)['000.png'])
    dataset = load('anime', root)
    assert len(dataset.train) + len(dataset.test) == 60 + 60 + 1
    assert dataset.source['passed_over'] == {
        'hidden': 2, 'links that lead back': 1, 'no images by their names': 3}
    status, _, err = cli(['run', 'ConvVAE_on_anime/128_16_100_repaired', '--epochs', '1',
                          '--limit', '64', '--set', 'vae_base_channels=2', '--data-root',
                          str(root), '--results-root', str(tmp_path / 'out'), '--ctx', 'cpu'])
    words = ('files passed over: 2 hidden, 1 links that lead back, 3 no images by their names')
    assert status == 0 and err.splitlines()[0].endswith(f'held-out images ({words})')
    readme, = (tmp_path / 'out').rglob('README.md')
    assert words in readme.read_text()


def test_zip_and_folder_pass_over_the_same(root, tmp_path):
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w') as archive:
        for name in ('a/1.png', 'a/.1.png', '.thumbnails/2.png', '__MACOSX/a/._1.png', 'a/b.txt'):
            archive.writestr(name, pictures(1)['000.png'])
    with archives.opened(tmp_path / 'faces.zip') as found:
        assert len(found.sources) == 1
        assert found.passed_over == {'hidden': 3, 'no images by their names': 1}


def test_what_cannot_be_read_is_left_out_if_asked(root):
    folder = root / 'anime_faces'
    (folder / 'dangling.png').symlink_to(folder / 'nowhere.png')
    with pytest.raises(DataError, match='dangling.png: cannot be read .No such file'):
        load('anime', root)
    dataset = load('anime', root, skip_bad=True)
    assert dataset.source['left_out'] == 1 and len(dataset.train) == 48
    (folder / 'nowhere.png').write_bytes(pictures(1)['000.png'])  # it is there again
    assert len(load('anime', root).train) == int(0.8 * 62)


def test_folder_that_changes_while_it_is_read_is_refused(root, monkeypatch):
    decode = decoding.decode_into

    def meanwhile(*arguments):
        (root / 'anime_faces' / '001.png').write_bytes(pictures(1)['000.png'])
        return decode(*arguments)
    monkeypatch.setattr(decoding, 'decode_into', meanwhile)
    with pytest.raises(DataError, match='anime_faces: has changed while it was read'):
        load('anime', root)
    assert not stored()


def test_images_are_cropped_at_their_middle(root):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    Image.fromarray(wide).save(root / 'anime_faces' / '000.png')
    assert read(root / 'anime_faces')[0].min() > 200


@pytest.mark.parametrize('prepare, message', [
    (lambda folder: (folder / '000.png').write_bytes(b'text'), '000.png: not a readable'),
    (lambda folder: (folder / '000.png').write_bytes(pictures(1)['000.png'][:60]), '000.png'),
    (lambda folder: [p.unlink() for p in folder.iterdir()], 'no .bmp, .gif, .jpeg, .jpg, .png, '),
    (lambda folder: [p.rename(p.with_suffix('.txt')) for p in folder.iterdir()], 'no .bmp'),
    (lambda folder: [p.unlink() for p in sorted(folder.iterdir())[:40]],
     '16 training and 4 held-out images'),
])
def test_bad_folder_is_one_line(root, prepare, message):
    prepare(root / 'anime_faces')
    with pytest.raises(DataError, match=message) as error:
        load('anime', root)
    assert '\n' not in str(error.value)


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has no pixels."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(chunk) - 4) + chunk + struct.pack('>I', zlib.crc32(chunk))
        for chunk in (header, b'IDAT', b'IEND'))


@pytest.mark.parametrize('side', [8_000, 10_001, 30_000, 2 ** 31 - 1])
def test_image_that_claims_too_many_pixels_is_one_line_without_a_warning(root, recwarn, side):
    (root / 'anime_faces' / '000.png').write_bytes(png_header(side, side))
    with pytest.raises(DataError, match='000.png') as error:
        load('anime', root)
    assert '\n' not in str(error.value) and not recwarn.list


def test_postscript_that_is_called_an_image_is_not_run(root):
    picture = io.BytesIO()
    Image.new('RGB', (64, 64)).save(picture, 'EPS')
    (root / 'anime_faces' / '000.png').write_bytes(picture.getvalue())
    with pytest.raises(DataError, match='000.png: .*expected one of PNG, JPEG'):
        load('anime', root)


def zipped(path, method: int) -> bytes:
    """A zip of three noisy pictures, written to a path; its bytes."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, 'w', method) as archive:
        for i in range(3):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(buffer, 'PNG')
            archive.writestr(f'\xe9{i}.png', buffer.getvalue())
    return path.read_bytes()


def test_zip_that_is_cut_anywhere_is_one_line(tmp_path):
    path = tmp_path / 'anime_faces.zip'
    content = zipped(path, zipfile.ZIP_STORED)
    for end in [*range(0, len(content), 50), len(content) - 1]:
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match='anime_faces.zip: not a whole zip') as error:
            load('anime', tmp_path)
        assert '\n' not in str(error.value)


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED,
                                    zipfile.ZIP_LZMA])
def test_zip_with_a_changed_byte_is_refused_or_read_as_it_was(tmp_path, method):
    path = tmp_path / 'faces.zip'
    content = zipped(path, method)
    whole, refusals = read(path), 0
    directory = content.index(b'PK\1\2')
    positions = range(0, len(content), 7)
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= 0xff
        path.write_bytes(changed)
        try:
            found = read(path)
        except DataError as error:
            assert str(path) in str(error)
            refusals += 1
        else:  # what is not of any weight, or another member's name in the directory
            assert position >= directory or (found == whole).all()
    assert refusals > len(positions) / 2


def test_damaged_member_of_a_zip_is_named(tmp_path):
    content = bytearray(zipped(tmp_path / 'faces.zip', zipfile.ZIP_DEFLATED))
    start = content.index(b'1.png') + len('1.png')
    content[start:start + 20] = bytes(20)
    (tmp_path / 'faces.zip').write_bytes(content)
    with pytest.raises(DataError, match='faces.zip: \xe91.png: not a readable image'):
        read(tmp_path / 'faces.zip')


@pytest.mark.parametrize('claimed', [1000, 20_000_000])
def test_member_of_a_zip_cannot_claim_the_memory(tmp_path, monkeypatch, claimed):
    monkeypatch.setattr(archives, 'MAX_FILE_BYTES', 1_000_000)
    path = tmp_path / 'faces.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('1.png', bytes(20_000_000))
    path.write_bytes(path.read_bytes().replace(struct.pack('<I', 20_000_000),
                                               struct.pack('<I', claimed)))
    tracemalloc.start()
    with pytest.raises(DataError, match='1.png'):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_faces_that_are_nowhere_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path))
    with pytest.raises(MissingDataError, match='holds no pictures') as error:
        load('anime')
    assert str(tmp_path) in str(error.value) and '\n' not in str(error.value)


# The cache


@pytest.fixture
def decoded_paths(monkeypatch) -> list:
    """What was decoded, and not taken from the cache."""
    seen, decode = [], decoding.decode_into

    def note(file, path, skip_bad, side):
        seen.append(path.name)
        return decode(file, path, skip_bad, side)
    monkeypatch.setattr(decoding, 'decode_into', note)
    return seen


def stored() -> list[Path]:
    return sorted(p for p in (fetch.cache_dir() / 'faces').iterdir()
                  if not p.name.startswith('.'))


def test_faces_are_decoded_once_and_mapped(root, decoded_paths):
    first, again = (load('anime', root) for _ in range(2))
    assert decoded_paths == ['anime_faces'] and len(stored()) == 1
    assert isinstance(again.train._stored.base, np.memmap)
    assert not again.train._stored.flags.writeable
    assert (first.train.pixels == again.train.pixels).all()
    assert first.source == again.source


def test_cache_is_keyed_by_content(root, tmp_path, decoded_paths):
    before = load('anime', root).source['sha256']
    renamed = root / 'anime_faces' / '000.png'
    renamed.rename(root / 'anime_faces' / '999.png')
    assert load('anime', root).source['sha256'] != before
    (root / 'anime_faces' / '999.png').rename(renamed)
    assert load('anime', root).source['sha256'] == before
    assert len(decoded_paths) == 2
    (root / 'anime_faces').rename(tmp_path / 'elsewhere')
    assert load('anime', tmp_path / 'elsewhere').source['sha256'] == before
    assert len(decoded_paths) == 2


def test_whole_set_is_never_held_as_floats(root):
    dataset = load('anime', root)
    tracemalloc.start()
    for start in range(0, 48, 8):
        dataset.train[np.arange(start, start + 8)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 8 * 3 * 64 * 64 * 4


def test_cache_that_cannot_be_written_is_done_without(root, monkeypatch, capsys):
    expected = load('anime', root)
    (root / 'file').write_text('mine')
    monkeypatch.setenv('XDG_CACHE_HOME', str(root / 'file'))
    found = load('anime', root)
    assert found.source == expected.source
    assert 'cannot be written (Not a directory); decoding into memory' in capsys.readouterr().err


def test_cut_off_decoding_leaves_no_cache(root, monkeypatch):
    decode = decoding._decode
    monkeypatch.setattr(decoding, '_decode', lambda source, shape: decode(source, shape)
                        if '030' not in source[0] else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load('anime', root)
    assert not stored()


def test_root_may_be_the_folder_or_the_file_itself(root, tmp_path):
    expected = load('anime', root).source['sha256']
    with zipfile.ZipFile(tmp_path / 'mine.zip', 'w') as archive:
        for name, content in pictures(60).items():
            archive.writestr(name, content)
    for itself in (root / 'anime_faces', tmp_path / 'mine.zip'):
        assert load('anime', itself).source['sha256'] == expected


# Broken images


def test_broken_images_are_left_out_if_asked(root, decoded_paths):
    for name in ('005.png', '007.png'):
        (root / 'anime_faces' / name).write_bytes(b'not a picture')
    for _ in range(2):
        with pytest.raises(DataError, match='005.png: not a readable image'):
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


def test_nothing_but_broken_images_is_refused(root):
    for path in (root / 'anime_faces').iterdir():
        path.write_bytes(b'not a picture')
    with pytest.raises(DataError, match='not a readable image'):
        load('anime', root, skip_bad=True)


def test_run_says_in_its_command_what_was_left_out(root, cli, tmp_path_factory):
    (root / 'anime_faces' / '005.png').write_bytes(b'not a picture')
    results = tmp_path_factory.mktemp('results')
    status, _, err = cli(['run', 'DenseVAE_on_anime/512_5_1024_200', '--epochs', '1', '--set',
                          'n_hnodes=4', '--set', 'n_latent=2', '--set', 'batch_size=16',
                          '--skip-bad', '--data-root', str(root), '--results-root',
                          str(results)])
    assert status == 0 and err.splitlines()[0] == (
        f'data: anime (anime faces) in {root}/anime_faces, 47 training and 12 held-out images '
        '(broken images left out: 1)')
    config, = results.rglob('config.json')
    assert '--set batch_size=16 --skip-bad"' in config.read_text()


@pytest.mark.parametrize('arrange, message', [
    (lambda f: None, 'no .bmp, .gif, .jpeg, .jpg, .png, '),
    (lambda f: (f / 'a.txt').write_text('hello'), 'no .bmp, .gif, .jpeg, .jpg, .png, '),
    (lambda f: (f / '0.png').write_bytes(pictures(1)['000.png']), '0 training and 1 held-out'),
    (lambda f: [(f / name).write_bytes(content) for name, content in pictures(45).items()],
     '36 training and 9 held-out'),
])
def test_folder_with_too_little_in_it_is_one_line(tmp_path, arrange, message):
    (tmp_path / 'anime_faces').mkdir()
    arrange(tmp_path / 'anime_faces')
    with pytest.raises(DataError, match=message) as error:
        load('anime', tmp_path)
    assert 'anime_faces' in str(error.value) and '\n' not in str(error.value)


def test_fewer_images_than_a_batch_are_refused(root, cli, tmp_path_factory):
    results = tmp_path_factory.mktemp('results')
    status, _, err = cli(['run', 'DenseVAE_on_anime/512_5_1024_200', '--data-root', str(root),
                          '--results-root', str(results)])
    assert status == 2 and '48 training images, expected a batch of 64 or more' in err
    assert not list(results.iterdir())


@pytest.mark.parametrize('name', ['../evil.png', '/etc/evil.png', 'a/../../evil.png'])
def test_zip_whose_paths_climb_out_of_it_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w') as archive:
        archive.writestr(name, pictures(1)['000.png'])
    with pytest.raises(DataError, match='a path that leads out of the zip'):
        read(tmp_path / 'faces.zip')


def test_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, 'MIN_BOMB_BYTES', 1_000_000)
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        for i in range(10):
            archive.writestr(f'{i}.png', bytes(1_000_000))
    with pytest.raises(DataError, match='claims to hold 10000000 bytes'):
        read(tmp_path / 'faces.zip')


def test_image_of_100_megapixels_is_refused_before_it_is_decoded(root):
    Image.new('1', (10_000, 10_000)).save(root / 'anime_faces' / '000.png')
    tracemalloc.start()
    with pytest.raises(DataError, match='000.png: 10000 x 10000 pixels, expected at most'):
        load('anime', root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
