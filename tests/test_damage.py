"""The Frechet distance of faces: it has to rise with every damage."""
import numpy as np
import pytest
from PIL import Image

from training.evaluation import measures, metrics
from training.reporting.published import RESULTS
from training.reporting.statistics import read_csv
from training.studies import damage


def test_committed_distances_rise_with_every_damage():
    """From what is nearly none; the mean face is farther than half of the damages."""
    found = {}
    for line in read_csv(RESULTS / 'damage.csv'):
        found.setdefault(line['damage'], []).append(float(line['frechet']))
    halves, mean = found.pop(damage.HALVES)[0], found.pop(damage.MEAN)[0]
    assert {*found} == {*damage.DAMAGES} and mean > 100 * halves > 0
    for distances in found.values():
        assert len(distances) == 4 and (np.diff(distances) > 0).all()
        assert distances[0] < mean and distances[-1] > 50 * halves


@pytest.mark.slow
def test_distances_of_real_faces_come_again(cli, tmp_path, real_data_root, monkeypatch):
    from training.evaluation import classifier
    if not (real_data_root and (real_data_root / 'anime_faces.zip').exists()):
        pytest.skip('no anime faces here')
    monkeypatch.setattr(classifier, 'UPDATES', 144)
    status, _, err = cli(['damage', '--data-root', str(real_data_root), '--results-root',
                          str(tmp_path), '--ctx', 'cpu'])
    assert status == 0, err
    for line, committed in zip(read_csv(tmp_path / 'damage.csv'),
                               read_csv(RESULTS / 'damage.csv'), strict=True):
        assert float(line['frechet']) == pytest.approx(float(committed['frechet']), rel=0.2)


def test_distances_are_from_the_originals():
    """By features that are a picture's own mean and spread."""
    pixels = np.random.default_rng(0).integers(40, 200, (30, 12, 12, 3), np.uint8)

    def features(pictures):
        mean = pictures.mean(axis=(1, 2, 3))
        return np.stack([mean, pictures.std(axis=(1, 2, 3))], axis=1)

    lines = damage.distances(pixels, features)
    assert [line['damage'] for line in lines] == [
        name for name in damage.DAMAGES for _ in range(4)] + [damage.HALVES, damage.MEAN]
    by = {(line['damage'], line['strength']): line['frechet'] for line in lines}
    assert by['blur', 2] == pytest.approx(metrics.frechet_distance(
        features(pixels), features(damage.blur(pixels, 2))))
    assert by['swapped patches', 8] == pytest.approx(0, abs=1e-3)
    assert by[damage.HALVES, None] == pytest.approx(metrics.frechet_distance(
        features(pixels[::2]), features(pixels[1::2])))


def patches(picture: np.ndarray) -> list[bytes]:
    """The sixteen of a picture of 64 x 64."""
    return [picture[i:i + 16, j:j + 16].tobytes() for i in range(0, 64, 16)
            for j in range(0, 64, 16)]


def test_damages_do_what_their_names_say():
    pixels = np.random.default_rng(0).integers(80, 176, (5, 64, 64, 3), np.uint8)
    noisy = damage.add_noise(pixels, 16).astype(float) - pixels
    assert noisy.std() == pytest.approx(16, rel=0.02) and abs(noisy.mean()) < 0.3
    assert damage.blur(pixels, 2).std() < 0.3 * pixels.std()
    seams = damage.add_seams(pixels, 48).astype(int) - pixels
    assert (seams[:, 22:42] == 32).all()
    assert (seams[:, :21] == -16).all() and (seams[:, 43:] == -16).all()
    for n in (1, 8):
        for before, after in zip(pixels, damage.swap_patches(pixels, n), strict=True):
            places = [patches(before).index(patch) for patch in patches(after)]
            assert [places[place] for place in places] == [*range(16)]  # pairs
            assert sum(place != source for place, source in enumerate(places)) == 2 * n


@pytest.mark.parametrize('words, message', [
    ([], 'other images than those of the shown results, which stay; --results-root names'),
    (['--results-root', 'new'], '24 held-out images, expected more than 128')])
def test_other_faces_or_few_leave_the_table_as_it_is(cli, tmp_path, monkeypatch, data_root,
                                                     known_images, words, message):
    monkeypatch.chdir(tmp_path)
    before = (RESULTS / 'damage.csv').read_bytes()
    status, _, err = cli(['damage', '--data-root', str(data_root), '--ctx', 'cpu', *words])
    assert status == 2 and message in err.splitlines()[-1]
    assert (RESULTS / 'damage.csv').read_bytes() == before and not [*tmp_path.iterdir()]


def test_command_writes_table_and_figure(cli, tmp_path, data_root, monkeypatch):
    monkeypatch.setattr(measures, 'N_FEATURES', 23)
    status, out, err = cli(['damage', '--data-root', str(data_root), '--results-root',
                            str(tmp_path), '--ctx', 'cpu'])
    assert status == 0, err
    assert len(read_csv(tmp_path / 'damage.csv')) == 18 and '| blur | 0.5 |' in out
    assert np.asarray(Image.open(tmp_path / 'damage.png')).std() > 10
