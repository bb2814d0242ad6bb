"""Files of pictures and zips of them: of which kinds they may be, and what is refused."""
import io
import re
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import DataError, archives, decoding, own
from data.loading import load
from tests.small_pictures import encoded, noise, write_folder, write_zip

RAMP = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
GREY = np.rint(RAMP * 255).astype(np.uint8)
OF_16_BITS = np.rint(RAMP * 65535).astype(np.uint16)
NOISE = np.asarray(noise(0))


def decode(written: bytes) -> np.ndarray:
    """A picture as a net sees it, (64, 64, 3) uint8."""
    (_, pixels), = decoding.decoded([('0.tif', lambda: written)], 'pictures', False, (3, 64, 64))
    return pixels


def read(path: Path) -> np.ndarray:
    """All pictures of a folder or zip."""
    file = io.BytesIO()
    decoding.decode_into(file, path, skip_bad=False)
    return np.frombuffer(file.getvalue(), np.uint8).reshape(-1, 64, 64, 3)


def in_one(colour, mode: str = 'RGB', size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new(mode, size, colour)


DEEP, PALETTE = Image.fromarray(np.full((64, 64), 0x2000, np.uint16)), in_one(1, 'P')
PALETTE.putpalette([0, 0, 0, 10, 20, 30])
WIDE = Image.fromarray(np.array([0, 255, 0], np.uint8).repeat(64)[np.newaxis].repeat(64, 0))
IN_ONE_COLOUR = {
    'grey': (encoded(in_one(200, 'L')), 200), 'one bit': (encoded(in_one(1, '1')), 255),
    'inks': (encoded(in_one((51, 102, 153, 0), 'CMYK'), 'TIFF'), (204, 153, 102)),
    'opaque': (encoded(in_one((9, 8, 7, 255), 'RGBA')), (9, 8, 7)),
    'transparent': (encoded(in_one((255, 0, 0, 0), 'RGBA')), 255),
    'three fifths transparent': (encoded(in_one((0, 0, 0, 102), 'RGBA')), 153),
    'grey, opaque': (encoded(in_one((5, 255), 'LA')), 5),
    'grey, transparent': (encoded(in_one((0, 0), 'LA')), 255),
    'palette': (encoded(PALETTE), (10, 20, 30)),
    'palette, transparent': (encoded(PALETTE, transparency=b'\xff\x00'), 255),
    '16 bits': (encoded(DEEP), 0x20),
    '16 bits, transparent': (encoded(DEEP, transparency=0x2000), 255),
    'cropped at its middle': (encoded(WIDE), 255),
    **{f'{size}': (encoded(in_one((10, 20, 30), size=size)), (10, 20, 30))
       for size in ((16, 16), (16, 300), (17, 25), (500, 400))},
}


@pytest.mark.parametrize('written, colour', IN_ONE_COLOUR.values(), ids=IN_ONE_COLOUR)
def test_pictures_of_any_kind_and_size_become_rgb_on_white(written, colour):
    assert (decode(written) == colour).all()


def tiff(values: np.ndarray, bits: int, sample_format: int = 1, photometric: int = 1) -> bytes:
    """A grey TIFF of 64 x 64 values that are packed already."""
    tags = [(256, 64), (257, 64), (258, bits), (259, 1), (262, photometric), (273, 200), (277, 1),
            (278, 64), (279, values.nbytes), (339, sample_format)]
    head = b'II*\0' + struct.pack('<IH', 8, len(tags))
    head += b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags) + bytes(4)
    return head.ljust(200, b'\0') + values.tobytes()


def twelve_bits() -> np.ndarray:
    first, second = np.rint(RAMP * 4095).astype(int).reshape(-1, 2).T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255],
                    axis=1).astype(np.uint8)


SCALED = {
    'floats': encoded(Image.fromarray(RAMP), 'TIFF'),
    'floats, 0 is white': tiff(1 - RAMP, 32, 3, 0),
    '16 bits': encoded(Image.fromarray(OF_16_BITS), 'TIFF'),
    '16 bits, big end first': encoded(Image.frombytes(
        'I;16B', (64, 64), OF_16_BITS.astype('>u2').tobytes()), 'TIFF'),
    '16 bits, 0 is white': tiff(65535 - OF_16_BITS, 16, 1, 0),
    '16 bits of a PNG': encoded(Image.fromarray(OF_16_BITS)),
    '12 bits': tiff(twelve_bits(), 12),
    '8 bits, 0 is white': tiff(255 - GREY, 8, 1, 0),
    '8 bits and alpha': encoded(Image.fromarray(GREY).convert('LA'), 'TIFF'),
}


@pytest.mark.parametrize('written', SCALED.values(), ids=SCALED)
def test_grey_of_any_depth_is_scaled(written):
    assert np.abs(decode(written) - GREY[..., np.newaxis].astype(int)).max() <= 1


@pytest.mark.parametrize('orientation, turned', [
    (1, lambda x: x), (2, lambda x: x[:, ::-1]), (3, lambda x: x[::-1, ::-1]),
    (4, lambda x: x[::-1]), (5, lambda x: x.swapaxes(0, 1)), (6, lambda x: np.rot90(x, -1)),
    (7, lambda x: np.rot90(x, 2).swapaxes(0, 1)), (8, np.rot90), (99, lambda x: x)])
@pytest.mark.parametrize('kind, is_deep', [
    ('PNG', False), ('WEBP', False), ('PNG', True), ('TIFF', True)])
def test_pictures_stand_as_their_camera_said(kind, is_deep, orientation, turned):
    exif = Image.Exif()
    exif[0x112] = orientation
    picture = Image.fromarray(NOISE[..., 0] * np.uint16(257) if is_deep else NOISE)
    found = decode(encoded(picture, kind, exif=exif, tiffinfo={0x112: orientation}, lossless=True))
    assert (found == turned(NOISE[..., :1] if is_deep else NOISE)).all()


def png_header(side: int) -> bytes:
    """A PNG file that claims a size and has no pixels."""
    header = b'IHDR' + struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(chunk) - 4) + chunk + struct.pack('>I', zlib.crc32(chunk))
        for chunk in (header, b'IDAT', b'IEND'))


def jpeg_that_claims(side: int) -> bytes:
    content = encoded(in_one(0, 'L'), 'JPEG')
    place = content.index(b'\xff\xc0') + 5
    return content[:place] + struct.pack('>HH', side, side) + content[place + 4:]


REFUSED = {
    'floats to 255': (encoded(Image.fromarray(RAMP * 255), 'TIFF'), 'floats from 0 to 255, exp'),
    'floats below 0': (encoded(Image.fromarray(RAMP - 1), 'TIFF'), 'floats from -1 to 0, expect'),
    'no numbers': (encoded(Image.fromarray(RAMP * np.nan), 'TIFF'), 'floats from nan to nan, exp'),
    '32 bits': (tiff((RAMP * 255).astype('<u4'), 32), '32-bit integers, expected 8 or 16 bits'),
    '32 bits, signed': (tiff((RAMP * 255).astype('<i4'), 32, 2), 'signed or 32-bit integers'),
    '16 bits, signed': (tiff((RAMP * 255).astype('<i2'), 16, 2), 'signed or 32-bit integers'),
    '8 bits, signed': (tiff((RAMP * 255).astype(np.int8), 8, 2), 'signed or 32-bit integers'),
    **{f'{w} x {h}': (encoded(in_one(0, '1', (w, h))), f'{w} x {h} pixels, expected 16 or more')
       for w, h in ((1, 1), (15, 300), (2000, 3))},
    # Refused by the size they claim: to decode them would be another error
    'of which Pillow warns': (png_header(10_001), '10001 x 10001 .* at most 50000000'),
    'which Pillow refuses': (png_header(30_000), 'not a readable image .*exceeds limit'),
    '2 ** 31 - 1 a side': (png_header(2 ** 31 - 1), 'not a readable image'),
    'more than any camera': (jpeg_that_claims(13_000), '13000 x 13000 .* at most 150000000'),
    'PostScript, which would be run': (encoded(noise(0), 'EPS'), 'expected one of PNG, JPEG'),
    'cut off': (encoded(noise(0))[:2000], 'not a readable image'),
}


@pytest.mark.parametrize('written, message', REFUSED.values(), ids=REFUSED)
def test_what_is_no_picture_of_known_values_and_size_is_one_line(written, message, recwarn):
    with pytest.raises(DataError, match=f'^0.tif: .*{message}') as error:
        decode(written)
    assert '\n' not in str(error.value) and not recwarn.list


def test_photograph_of_a_phone_is_decoded_at_a_part_of_its_size(monkeypatch):
    decoded_sizes = []
    upright = decoding._upright

    def spy(image):
        decoded_sizes.append(upright(image).size)
        return upright(image)
    monkeypatch.setattr(decoding, '_upright', spy)
    monkeypatch.setattr(decoding, 'MAX_PIXELS', 8_000_000)
    photograph = encoded(Image.fromarray(GREY).resize((4200, 2100)), 'JPEG')
    assert np.abs(decode(photograph)[:, 32, 0] - GREY[:, 32].astype(int)).max() <= 2
    assert decoded_sizes == [(2100, 1050)]
    with pytest.raises(DataError, match='4200 x 2100 pixels, expected at most 8000000'):
        decode(encoded(in_one(0, '1', (4200, 2100))))


# Folders and zips


def test_usual_files_are_images_by_their_names(tmp_path):
    suffixes = ['png', 'jpg', 'JPG', 'jpeg', 'webp', 'WEBP', 'gif', 'bmp', 'tif', 'tiff']
    for i, suffix in enumerate(suffixes):
        noise(i).save(tmp_path / f'{i}.{suffix}')
    assert len(read(tmp_path)) == len(suffixes)


@pytest.mark.parametrize('by', ['/', '\\'])
@pytest.mark.parametrize('is_unpacked', [False, True], ids=['zip', 'folder'])
def test_zip_and_folder_have_the_same_pictures_in_the_order_of_their_paths(tmp_path, by,
                                                                           is_unpacked):
    """Zips of some Windows programs part folders by backslashes; macOS adds files of its own."""
    names = ['b.png', 'a-1.png', 'a/2.png', 'B.jpg', '.hidden/1.png', '__MACOSX/a/2.png',
             'a/.trash/3.png', 'a/notes.txt'] + ['a/'] * (not is_unpacked)
    path = write_zip(tmp_path / 'faces.zip', {
        name.replace('/', by): encoded(in_one(i, 'L')) for i, name in enumerate(names)})
    if is_unpacked:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path := tmp_path / 'faces')
    assert read(path)[:, 0, 0, 0].tolist() == [3, 2, 1, 0]
    with archives.opened(path) as found:
        assert found.passed_over == {'hidden': 3, 'no images by their names': 1}


@pytest.mark.parametrize('name', [
    '../evil.png', 'a/../../evil.png', '/etc/evil.png', r'..\evil.png', r'\etc\evil.png'])
def test_zip_whose_paths_lead_out_of_it_is_refused(tmp_path, name):
    path = write_zip(tmp_path / 'faces.zip', {name: encoded(noise(0))})
    with pytest.raises(DataError, match='a path that leads out of the zip'):
        read(path)


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED,
                                    zipfile.ZIP_LZMA])
def test_zip_that_is_cut_or_changed_is_refused_or_read_as_it_was(tmp_path, method):
    path = tmp_path / 'faces.zip'
    content = write_zip(path, {f'\xe9{i}.png': encoded(noise(i, 16, 16)) for i in range(3)},
                        method).read_bytes()
    whole, refusals = read(path), 0
    directory = content.index(b'PK\1\2')
    positions = range(0, len(content), 7)
    for position in positions:
        path.write_bytes(content[:position])
        with pytest.raises(DataError, match='faces.zip: not a whole zip'):
            read(path)
        changed = bytearray(content)
        changed[position] ^= 0xff
        path.write_bytes(changed)
        try:
            found = read(path)
        except DataError as error:
            named = r': \xe9[012].png: not a readable image' if position < directory else ''
            assert re.match(f'{path}{named}', str(error))
            refusals += 1
        else:  # what is not of any weight, or another member's name in the directory
            assert position >= directory or (found == whole).all()
    assert refusals > len(positions) / 2


@pytest.mark.parametrize('claimed', [1000, 20_000_000])
def test_member_of_a_zip_cannot_claim_the_memory(tmp_path, monkeypatch, claimed):
    monkeypatch.setattr(archives, 'MAX_FILE_BYTES', 1_000_000)
    path = write_zip(tmp_path / 'faces.zip', {'1.png': bytes(20_000_000)}, zipfile.ZIP_DEFLATED)
    path.write_bytes(path.read_bytes().replace(struct.pack('<I', 20_000_000),
                                               struct.pack('<I', claimed)))
    tracemalloc.start()
    with pytest.raises(DataError, match='1.png'):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, 'MIN_BOMB_BYTES', 1_000_000)
    path = write_zip(tmp_path / 'faces.zip', {f'{i}.png': bytes(1_000_000) for i in range(10)},
                     zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match='claims to hold 10000000 bytes'):
        read(path)


def test_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / '0.tif'
    with open(path, 'wb') as file:
        file.truncate(archives.MAX_FILE_BYTES + 1)  # takes no space
    for place in (path, tmp_path):
        with pytest.raises(DataError, match=f'0.tif: {archives.MAX_FILE_BYTES + 1} bytes, exp'):
            own.read([place], (3, 64, 64))
    write_folder(tmp_path, {f'{i}.png': encoded(noise(i)) for i in range(12)})
    dataset = load('anime', tmp_path, skip_bad=True, held_out=0.9)
    assert dataset.source['left_out'] == 1 and len(dataset.test) == 11
    path.write_bytes(SCALED['floats'].ljust(40 << 20, b'\0'))
    assert own.read([path], (3, 64, 64))[1].shape == (1, 64, 64, 3)


@pytest.mark.parametrize('place', ['mine', 'anime_faces', 'mine.zip'])
def test_what_is_there_in_place_of_pictures_is_said(tmp_path, place):
    write = write_zip if place.endswith('.zip') else write_folder
    path = write(tmp_path / place, dict.fromkeys(
        ['a/1.HEIC', 'a/2.heic', 'notes.txt', '.hidden'], b'ftypheic'))
    with pytest.raises(DataError, match=f'{place}.*: .*2 .heic, 1 .txt$') as error:
        load('anime', tmp_path if place == 'anime_faces' else path)
    assert 'anime faces' not in str(error.value)
    with pytest.raises(DataError, match=f'{place}: no .bmp, .* it holds 2 .heic, 1 .txt$'):
        own.read([path], (3, 64, 64))
