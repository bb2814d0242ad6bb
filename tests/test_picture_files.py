"""Files of pictures: values of other than 8 bits, zips of Windows, large ones, other kinds."""
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from data import DataError, archives, decoding, own
from data.loading import load

RAMP = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
GREY = np.rint(RAMP * 255).astype(int)
SHAPE = (3, 64, 64)


def content(picture: Image.Image, kind: str = 'TIFF', **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


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


def decode(written: bytes) -> np.ndarray:
    (_, pixels), = decoding.decoded([('0.tif', lambda: written)], 'pictures', False, SHAPE)
    return pixels


OF_16_BITS = np.rint(RAMP * 65535)
SCALED = {
    'floats': content(Image.fromarray(RAMP)),
    'floats, 0 is white': tiff(1 - RAMP, 32, 3, 0),
    '16 bits': content(Image.fromarray(OF_16_BITS.astype(np.uint16))),
    '16 bits, big end first': content(Image.frombytes('I;16B', (64, 64),
                                                      OF_16_BITS.astype('>u2').tobytes())),
    '16 bits, 0 is white': tiff((65535 - OF_16_BITS).astype('<u2'), 16, 1, 0),
    '16 bits of a PNG': content(Image.fromarray(OF_16_BITS.astype(np.uint16)), 'PNG'),
    '12 bits': tiff(twelve_bits(), 12),
    '8 bits, 0 is white': tiff((255 - GREY).astype(np.uint8), 8, 1, 0),
    '8 bits and alpha': content(Image.fromarray(GREY.astype(np.uint8)).convert('LA')),
}


@pytest.mark.parametrize('written', SCALED.values(), ids=SCALED)
def test_grey_of_any_depth_is_scaled(written):
    assert np.abs(decode(written).astype(int) - GREY[..., np.newaxis]).max() <= 1


REFUSED = {
    'floats to 255': (content(Image.fromarray(RAMP * 255)), 'floats from 0 to 255, expected'),
    'floats below 0': (content(Image.fromarray(RAMP - 1)), 'floats from -1 to 0, expected'),
    'no numbers': (content(Image.fromarray(RAMP * np.nan)), 'floats from nan to nan, expected'),
    '32 bits': (tiff((RAMP * 255).astype('<u4'), 32), '32-bit integers, expected 8 or 16 bits'),
    '32 bits, signed': (tiff((RAMP * 255).astype('<i4'), 32, 2), 'signed or 32-bit integers'),
    '16 bits, signed': (tiff((RAMP * 255).astype('<i2'), 16, 2), 'signed or 32-bit integers'),
    '8 bits, signed': (tiff((RAMP * 255).astype(np.int8), 8, 2), 'signed or 32-bit integers'),
}


@pytest.mark.parametrize('written, message', REFUSED.values(), ids=REFUSED)
def test_values_of_no_known_range_are_refused(written, message):
    with pytest.raises(DataError, match=f'0.tif: .*{message}'):
        decode(written)


@pytest.mark.parametrize('kind, orientation', [('TIFF', {'tiffinfo': {274: 6}}), ('PNG', {})])
def test_deep_grey_stands_as_its_camera_said(kind, orientation):
    picture = Image.fromarray(OF_16_BITS.astype(np.uint16))
    if kind == 'PNG':
        exif = Image.Exif()
        exif[274] = 6
        orientation = {'exif': exif}
    turned = decode(content(picture, kind, **orientation)).astype(int)
    assert np.abs(turned - np.rot90(GREY, -1)[..., np.newaxis]).max() <= 1


def test_the_grey_that_is_transparent_shows_white():
    picture = Image.fromarray(np.full((64, 64), 0x2000, np.uint16))
    assert decode(content(picture, 'PNG'))[32, 32, 0] == 0x20
    assert decode(content(picture, 'PNG', transparency=0x2000))[32, 32, 0] == 255


def zipped(path, names) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        for i, name in enumerate(names):
            archive.writestr(name, content(Image.new('L', (64, 64), i), 'PNG'))


@pytest.mark.parametrize('unpacked', [False, True], ids=['zip', 'folder'])
def test_backslashes_part_folders(tmp_path, unpacked):
    names = ['a\\2.png', '.hidden\\1.png', 'a-1.png', '__MACOSX\\a\\._2.png', 'a\\.trash\\3.png',
             'a\\notes.txt']
    path = tmp_path / 'faces.zip'
    zipped(path, names if unpacked else [*names, 'a\\'])
    if unpacked:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path := tmp_path / 'faces')
    with archives.opened(path) as found:
        assert [decode(read())[0, 0, 0] for _, read in found.sources] == [0, 2]
        assert found.passed_over == {'hidden': 3, 'no images by their names': 1}


@pytest.mark.parametrize('name', ['..\\evil.png', 'a\\..\\..\\evil.png', '\\evil.png'])
def test_backslashes_do_not_lead_out_of_a_zip(tmp_path, name):
    zipped(tmp_path / 'faces.zip', [name])
    with pytest.raises(DataError, match='a path that leads out of the zip'), \
            archives.opened(tmp_path / 'faces.zip'):
        pass


def test_photograph_of_a_phone_is_decoded_at_a_part_of_its_size(monkeypatch):
    decoded_sizes = []
    upright = decoding._upright

    def spy(image):
        decoded_sizes.append(upright(image).size)
        return upright(image)
    monkeypatch.setattr(decoding, '_upright', spy)
    monkeypatch.setattr(decoding, 'MAX_PIXELS', 8_000_000)
    ramp = Image.fromarray(GREY.astype(np.uint8)).resize((4200, 2100))
    photograph = content(ramp, 'JPEG')
    assert np.abs(decode(photograph)[:, 32, 0].astype(int) - GREY[:, 32]).max() <= 2
    assert decoded_sizes == [(2100, 1050)]
    with pytest.raises(DataError, match='4200 x 2100 pixels, expected at most 8000000'):
        decode(content(Image.new('1', (4200, 2100)), 'PNG'))


def test_jpeg_that_claims_more_than_any_camera_is_refused():
    claims = bytearray(content(Image.new('L', (64, 64)), 'JPEG'))
    place = claims.index(b'\xff\xc0') + 5
    claims[place:place + 4] = struct.pack('>HH', 13_000, 13_000)
    with pytest.raises(DataError, match='13000 x 13000 pixels, expected at most 150000000'):
        decode(bytes(claims))


def test_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / '0.tif'
    with open(path, 'wb') as file:
        file.truncate(archives.MAX_FILE_BYTES + 1)  # takes no space
    for place in (path, tmp_path):
        with pytest.raises(DataError, match=f'0.tif: {archives.MAX_FILE_BYTES + 1} bytes, exp'):
            own.read([place], SHAPE)
    path.write_bytes(SCALED['floats'].ljust(40 << 20, b'\0'))
    assert own.read([path], SHAPE)[1].shape == (1, 64, 64, 3)


@pytest.mark.parametrize('place', ['mine', 'anime_faces', 'mine.zip'])
def test_what_is_there_in_place_of_pictures_is_said(tmp_path, place):
    path = tmp_path / place
    names = ['a/1.HEIC', 'a/2.heic', 'notes.txt', '.hidden']
    if path.suffix:
        zipped(path, names)
    else:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b'ftypheic')
    with pytest.raises(DataError, match=f'{place}.*: .*2 .heic, 1 .txt$') as error:
        load('anime', tmp_path if place == 'anime_faces' else path)
    assert 'anime faces' not in str(error.value)
    with pytest.raises(DataError, match=f'{place}: no .bmp, .* it holds 2 .heic, 1 .txt$'):
        own.read([path], SHAPE)
