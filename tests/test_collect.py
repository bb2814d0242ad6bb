"""`collect`: sets of faces out of repositories like those that hold them."""
import io
import subprocess
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data import collect
from tests.small_pictures import encoded, noise, write_folder

LATER, DELETED = range(100, 140), range(60)  # drawings by the commit that added them
COPY = 7, 31_415  # of a drawing, under its own number and a larger one


def drawing(number: int) -> bytes:
    return encoded(noise(number, 16, 16), 'JPEG')


def git(clone, *words: str) -> str:
    done = subprocess.run(['git', '-C', clone, '-c', 'user.name=a', '-c', 'user.email=b', *words],
                          check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(clone, contents: dict[str, bytes]) -> None:
    write_folder(clone, contents)
    git(clone, 'add', '.')
    git(clone, 'commit', '-m', 'more')


@pytest.fixture
def clones(tmp_path, monkeypatch):
    """Repositories by set, the address of each in place of the public one."""
    found = {name: tmp_path / name for name in collect.SOURCES}
    for clone in found.values():
        clone.mkdir()
        git(clone, 'init', '-b', 'main')
        commit(clone, {'README.md': b'faces'})
    # Drawings that are deleted again, beside a branch with others
    anime = found['anime']
    commit(anime, {f'images/{number}_2000.jpg': drawing(number) for number in DELETED})
    git(anime, 'branch', 'other', 'HEAD~1')
    git(anime, 'rm', '-r', 'images')
    git(anime, 'commit', '-m', 'less')
    git(anime, 'checkout', 'other')
    commit(anime, {f'images/{number}_2004.jpg': drawing(number) for number in LATER} | {
        f'images/{COPY[1]}_2012.jpg': drawing(COPY[0]), 'images/notes.txt': b'none',
        'other/5_2000.jpg': drawing(5)})
    git(anime, 'rm', '-r', 'images')
    git(anime, 'commit', '-m', 'none')
    git(anime, 'checkout', 'main')
    git(anime, 'merge', 'other')
    # Photographs that become brighter from left to right, each redder than the one before
    ramp = np.tile(np.arange(112, dtype=np.uint8), (112, 1))
    commit(found['adult'], {
        f'data/{name}_{i // 2}/{i % 2}.jpg': encoded(Image.fromarray(np.stack(
            [np.full_like(ramp, 2 * i), ramp, ramp], axis=2)), 'JPEG', quality=100, subsampling=0)
        for i, name in enumerate(['Zoe', 'Al'] * 50)})
    for name, clone in found.items():
        monkeypatch.setitem(collect.SOURCES, name, replace(
            collect.SOURCES[name], address=str(clone), commit=git(clone, 'rev-parse', 'HEAD')))
    return found


def test_drawings_are_all_that_ever_were_without_copies(cli, clones, tmp_path):
    status, out, err = cli(['collect', 'anime', '--data-root', str(tmp_path / 'faces')])
    assert (status, err) == (0, '')
    assert out == f'{tmp_path}/faces/anime_faces.zip: the images of the shown results\n'
    assert [path.name for path in (tmp_path / 'faces').iterdir()] == ['anime_faces.zip']
    with zipfile.ZipFile(tmp_path / 'faces/anime_faces.zip') as archive:
        assert {member.filename: archive.read(member) for member in archive.filelist} == {
            f'anime_faces/{number:05}.jpg': drawing(number) for number in (*DELETED, *LATER)}


def test_photographs_are_scaled_in_the_order_of_their_names(cli, clones, tmp_path, monkeypatch):
    names = sorted((f'{name}_{i // 2}', i % 2, i) for i, name in enumerate(['Zoe', 'Al'] * 50))
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'faces'))
    status, _, err = cli(['collect', 'adult', '--from', str(clones['adult'])])
    assert (status, err) == (0, '')
    ramp = (np.arange(64) + 0.5) * 112 / 64 - 0.5
    with zipfile.ZipFile(tmp_path / 'faces/adult_faces.zip') as archive:
        assert len(archive.filelist) == len(names)
        for i, (*_, number) in enumerate(names):
            image = Image.open(io.BytesIO(archive.read(f'adult_faces/{i:05}.jpg')))
            small = np.asarray(image).astype(float)
            assert np.abs(small[..., 0].mean() - 2 * number) < 1
            off = (small[..., 1].mean(axis=0) - ramp)[2:-2]
            assert np.abs(off).max() < 4 and np.abs(off.mean()) < 0.5
    example = Image.open(io.BytesIO(encoded(image, 'JPEG', quality=92, subsampling=0)))
    assert (image.quantization, image.layer) == (example.quantization, example.layer)


@pytest.mark.usefixtures('known_images')
def test_other_images_are_called_so(cli, clones, tmp_path):
    status, out, _ = cli(['collect', 'anime', '--data-root', str(tmp_path / 'faces')])
    assert status == 0 and out.endswith(': other images than those of the shown results\n')


@pytest.mark.parametrize('there', ['anime_faces.zip', 'anime_faces/a.png'])
def test_what_is_there_stays(cli, clones, tmp_path, there):
    folder = write_folder(tmp_path / 'faces', {there: b'mine'})
    status, out, err = cli(['collect', 'anime', '--data-root', str(folder)])
    assert (status, out) == (2, '') and 'already there' in err
    assert (folder / there).read_bytes() == b'mine' and len([*folder.iterdir()]) == 1


@pytest.mark.parametrize('fault, message', [
    ('no repository', 'git clone failed'), ('another repository', 'git log failed'),
    ('no images', 'no images in commit'), ('no git', 'git is not installed')])
def test_what_cannot_be_collected_is_one_line(cli, clones, tmp_path, monkeypatch, fault, message):
    source = collect.SOURCES['anime']
    changed = {
        'no repository': replace(source, address=str(tmp_path / 'gone')),
        'another repository': replace(source, address=str(clones['adult'])),
        'no images': replace(source, commit=git(clones['anime'], 'rev-list', '--max-parents=0',
                                                'HEAD'))}
    monkeypatch.setitem(collect.SOURCES, 'anime', changed.get(fault, source))
    if fault == 'no git':
        monkeypatch.setenv('PATH', str(tmp_path))
    status, out, err = cli(['collect', 'anime', '--data-root', str(tmp_path / 'faces')])
    assert (status, out) == (2, '') and message in err
    assert err.startswith('error: ') and err.count('\n') == 1
    assert [*(tmp_path / 'faces').iterdir()] == []
