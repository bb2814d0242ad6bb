"""Classifiers that measure pictures: on what they are trained, how, and for which data."""
import itertools
from dataclasses import replace

import numpy as np
import pytest
from mxnet import cpu, gluon

from data.images import Images
from data.loading import load
from models.classifier import Classifier, RotationClassifier
from tests.conftest import write_mnist
from training.commands import wiring
from training.evaluation import classifier, measures
from training.experiments.registry import EXPERIMENTS

DIGITS = EXPERIMENTS['DenseVAE_on_MNIST/5_3_400_bce_50']
FACES = EXPERIMENTS['ConvVAE_on_anime/512_32_200_seeded']


def loaded(row, root, ctx=None):
    """The row's classifier, as `evaluate` gets it."""
    return wiring.load_classifier(row, wiring.load_data(row, root), ctx or cpu(), root)


@pytest.fixture
def seen(monkeypatch) -> list[tuple[np.ndarray, int]]:
    """What a classifier is trained on: each image, and its class; it learns nothing."""
    pairs = []
    monkeypatch.setattr(classifier, 'fit', lambda net, rounds, *_: pairs.extend(
        (x, int(y)) for batches in rounds for of_batch in batches
        for x, y in zip(*of_batch, strict=True)))
    return pairs


def test_digits_are_learned_from_the_training_images(seen, mnist_root):
    loaded(DIGITS, mnist_root)
    dataset = load('MNIST', mnist_root)
    wanted = zip(dataset.train[np.arange(160)], dataset.labels[0], strict=True)
    assert sorted((x.tobytes(), y) for x, y in seen) == sorted(
        (x.tobytes(), int(y)) for x, y in wanted)


@pytest.mark.parametrize('changes', [{}, {'shuffle_seed': None}, {'shuffle_seed': 5},
                                     {'layout': 'transpose'}], ids=str)
def test_faces_are_learned_from_the_training_images_of_the_split_by_seed_0(seen, data_root,
                                                                           changes, monkeypatch):
    """One net for all runs: what it sees is upright and in true colours, whatever the row's."""
    monkeypatch.setattr(classifier, 'UPDATES', 2)
    for n_features in (24, 23):  # of 24 held-out faces no distance is taken by 24 features
        assert not seen
        monkeypatch.setattr(measures, 'N_FEATURES', n_features)
        loaded(replace(FACES, **changes), data_root)
    wanted = load('anime', data_root, layout='transpose').train
    known = {x.tobytes() for x in wanted[np.arange(len(wanted))]}
    turned_back = {np.ascontiguousarray(np.rot90(x, -y, (1, 2))).tobytes() for x, y in seen}
    assert turned_back <= known and len(turned_back) > 0.9 * len(known)


def test_classifier_is_kept_for_its_data_alone(tmp_path, capsys):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        write_mnist(tmp_path / name, 64 if name == 'a' else 80)
    features, pixels = [], np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), np.uint8)
    for name in 'abab':
        features.append(loaded(DIGITS, tmp_path / name)(pixels)[0])
    assert capsys.readouterr().err.count('training a classifier of digits, once') == 2
    for i, j in itertools.combinations(range(4), 2):
        assert (features[i] == features[j]).all() == ((j - i) % 2 == 0)


def test_digits_and_faces_of_one_checksum_have_files_of_their_own():
    names = {classifier.file_name(net, 32 * digit) for digit in 'ab'
             for net in (Classifier(), RotationClassifier())}
    assert len(names) == 4


class Spy(gluon.Block):
    """A net of two features and ten classes that keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.given, self.logits = [], gluon.nn.Dense(10, use_bias=True)

    def forward(self, x):
        self.given += [one.tobytes() for one in x.asnumpy()]
        return x.mean(axis=(2, 3)), self.logits(0 * x)


def test_pictures_are_judged_in_the_range_in_which_it_was_trained(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 5, 2), np.uint8)
    net, labels = Spy(), np.zeros(30, int)
    trained = classifier.fit(net, classifier.labelled(Images(pixels, 'transpose'), labels), cpu(),
                             tmp_path / 'spy.params')
    learned, net.given = net.given, []
    features, _ = trained(pixels)
    assert sorted(learned) == sorted(net.given) and len(learned) == 30
    assert np.abs(features - pixels.mean(axis=(1, 2)) / 255).max() < 1e-6


def test_rate_falls_from_round_to_round(tmp_path):
    """Adam moves a bias whose gradient stays the same by the rate, at each update."""
    net, x, y = Spy(), np.zeros((6, 1, 2, 2), np.float32), np.array([0, 1, 2, 3, 4, 5])
    classifier.fit(net, iter([iter([(x, y)] * n) for n in (4, 6, 10)]), cpu(),
                   tmp_path / 'spy.params')
    never_seen = net.logits.bias.data()[9].asscalar()
    assert -never_seen == pytest.approx(1e-3 * (4 + 6 * 0.3 + 10 * 0.09), rel=0.01)


def test_it_is_trained_as_long_as_its_readme_says(whole_classifiers):
    """Digits for four epochs of batches of 128; faces for three rounds of 144 batches."""
    images = Images(np.zeros((300, 2, 2, 3), np.uint8), 'transpose')
    assert [[len(y) for _, y in batches] for batches in classifier.labelled(
        images, np.zeros(300, int))] == 4 * [[128, 128, 44]]
    assert [[len(turns) for _, turns in batches]
            for batches in classifier.rotated(images)] == 3 * [144 * [128]]


def test_faces_are_turned_evenly_and_otherwise_in_each_round(monkeypatch):
    monkeypatch.setattr(classifier, 'UPDATES', 2)
    images = Images(np.random.default_rng(1).integers(0, 256, (200, 8, 8, 3), np.uint8),
                    'transpose')
    rounds = [[*batches] for batches in classifier.rotated(images)]
    turns = np.concatenate([turns for batches in rounds for _, turns in batches])
    assert np.bincount(turns, minlength=4).min() > 0.2 * len(turns)
    again, _ = next(next(classifier.rotated(images)))
    assert (again == rounds[0][0][0]).all() and (again != rounds[1][0][0]).any()


@pytest.mark.parametrize('net, shape', [(Classifier, (28, 28, 1)),
                                        (RotationClassifier, (64, 64, 3))])
def test_how_pictures_are_turned_is_learned_to_the_same_bits(monkeypatch, net, shape):
    """Bright at the top, so that light tells which way is up."""
    monkeypatch.setattr(classifier, 'UPDATES', 12)
    pixels = np.random.default_rng(0).integers(0, 60, (80, *shape), np.uint8)
    pixels[:, :shape[0] // 3] += 180
    images = Images(pixels, 'transpose')
    trained, again = (classifier.fit(net(), classifier.rotated(images), cpu(), None)
                      for _ in range(2))
    for k in range(4):
        features, found = trained(np.rot90(pixels, k, (1, 2)))
        assert (found == k).mean() > 0.9 and features.shape == (80, measures.N_FEATURES)
    assert (again(pixels)[0] == trained(pixels)[0]).all()
