"""Fixtures: small idx files, and a machine without data, cache or network."""
import gzip
import io
import os
import struct
import zipfile
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import mnist, table
from training import __main__ as main
from training.commands.wiring import set_up_process
from training.storage import run_folder

set_up_process()  # before any test imports MXNet

from mxnet import autograd, nd  # noqa: E402
from mxnet.gluon import HybridBlock, nn  # noqa: E402

from training.evaluation import classifier  # noqa: E402

REAL_DATA = os.environ.get('VAEGAN_DATA')
UPDATES, EPOCHS = classifier.UPDATES, classifier.EPOCHS


def write_idx(path: Path, array: np.ndarray) -> None:
    """An idx file of bytes, gzipped where the name says so."""
    header = struct.pack(f'>I{array.ndim}I', 0x800 | array.ndim, *array.shape)
    opener = gzip.open if path.suffix == '.gz' else open
    with opener(path, 'wb') as file:
        file.write(header + array.tobytes())


def write_mnist(folder: Path, n_train: int = 160, n_test: int = 20) -> None:
    """Four small idx files: blurred strokes in place of digits."""
    rng = np.random.default_rng(0)
    for split, n in (('train', n_train), ('t10k', n_test)):
        rows, columns = np.mgrid[:28, :28]
        centre, slope = rng.uniform(8, 20, (n, 1, 1)), rng.uniform(-1, 1, (n, 1, 1))
        distance = columns - centre - slope * (rows - 14)
        stroke = np.exp(-(distance / 2) ** 2) * (np.abs(rows - 14) < 10)
        write_idx(folder / f'{split}-images-idx3-ubyte', (255 * stroke).astype(np.uint8))
        write_idx(folder / f'{split}-labels-idx1-ubyte', rng.integers(0, 10, n, np.uint8))


@pytest.fixture(scope='session')
def mnist_root(tmp_path_factory) -> Path:
    """A folder with 160 training and 20 test images."""
    folder = tmp_path_factory.mktemp('mnist')
    write_mnist(folder)
    return folder


@pytest.fixture(scope='session')
def data_root(tmp_path_factory) -> Path:
    """A folder with 3,200 strokes as MNIST, and 120 faces of noise in a zip."""
    folder = tmp_path_factory.mktemp('data')
    write_mnist(folder, n_train=3200)
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(folder / 'anime_faces.zip', 'w') as archive:
        for i in range(120):
            content = io.BytesIO()
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(content, 'PNG')
            archive.writestr(f'{i:03d}.png', content.getvalue())
    return folder


@pytest.fixture(scope='session')
def real_data_root() -> Path | None:
    """Where the tests were told to look for the real sets, if they were."""
    return Path(REAL_DATA) if REAL_DATA else None


@pytest.fixture(autouse=True)
def nothing_but_the_tests(monkeypatch, tmp_path_factory) -> None:
    """No data of the user's, an empty cache, no mirrors; classifiers that learn little."""
    monkeypatch.setattr(classifier, 'UPDATES', 1)
    monkeypatch.setattr(classifier, 'EPOCHS', 1)
    monkeypatch.delenv('VAEGAN_DATA', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    monkeypatch.setattr(mnist, 'MIRRORS', ())


@pytest.fixture
def whole_classifiers(monkeypatch) -> None:
    """Classifiers that learn all they do for users, in a minute or two."""
    monkeypatch.setattr(classifier, 'UPDATES', UPDATES)
    monkeypatch.setattr(classifier, 'EPOCHS', EPOCHS)


@pytest.fixture
def cli(capsys):
    """Runs the command line in this process: arguments -> (exit status, stdout, stderr)."""
    def call(argv: list[str]) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main.main(argv)
        return status, *capsys.readouterr()
    return call


@pytest.fixture
def on_digits(cli, mnist_root, tmp_path):
    """Runs a command on the small digits, with results in a folder of their own, unless told."""
    def call(command: str, *words) -> tuple[int, str, str]:
        return cli([command, '--data-root', str(mnist_root), '--ctx', 'cpu', '--results-root',
                    str(tmp_path / 'results'), *map(str, words)])
    return call


@pytest.fixture
def cut_off(monkeypatch):
    """Calls what runs a command, and cuts its run off as it is about to be finished."""
    def call(run, *words) -> None:
        with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
            patched.setattr(run_folder, 'finish', lambda *_: 1 / 0)
            run(*words)
    return call


def _forward_moving(self, F, x, gamma, beta, running_mean, running_var):
    """BatchNorm that moves its running statistics in the forward pass, as cuDNN's does."""
    if F is not nd:  # to infer shapes
        return F.BatchNorm(x, gamma, beta, running_mean, running_var, **self._kwargs)
    kept = [running_mean.copy(), running_var.copy()]  # that the backward pass may move
    if autograd.is_training():
        with autograd.pause():
            axes = tuple(axis for axis in range(x.ndim) if axis != 1)
            mean = nd.mean(x.detach(), axis=axes)
            var = nd.mean(nd.broadcast_sub(x.detach().swapaxes(0, 1).reshape((x.shape[1], -1)),
                                           mean.reshape((-1, 1))) ** 2, axis=1)
            momentum = self._kwargs['momentum']
            running_mean[:] = momentum * running_mean + (1 - momentum) * mean
            running_var[:] = momentum * running_var + (1 - momentum) * var
    return F.BatchNorm(x, gamma, beta, *kept, **self._kwargs)


SETS = dict(table.SETS)


@pytest.fixture(scope='session', autouse=True)
def any_images_are_known():
    """Let small data pass for the images of the shown results."""
    with pytest.MonkeyPatch.context() as patched:
        for name, entry in SETS.items():
            patched.setitem(table.SETS, name, replace(entry, known=()))
        yield


@pytest.fixture
def known_images(monkeypatch):
    """Let images be known by their checksum, as for users."""
    for name, entry in SETS.items():
        monkeypatch.setitem(table.SETS, name, entry)


@pytest.fixture
def moves_forward(monkeypatch):
    """Call it, and nets that are made from then on move running statistics as cuDNN does.

    Nets run operator by operator then, for what is compiled cannot do that.
    """
    def install():
        monkeypatch.setattr(nn.BatchNorm, 'hybrid_forward', _forward_moving)
        monkeypatch.setattr(HybridBlock, 'hybridize', lambda *args, **options: None)
    return install


@pytest.fixture(params=[0.9, 0.7])
def momentum(request, monkeypatch) -> float:
    """BatchNorm's, in nets that are made from then on."""
    monkeypatch.setattr(nn.BatchNorm, '__init__', partialmethod(
        nn.BatchNorm.__init__, momentum=request.param))
    return request.param


@pytest.fixture(params=['backward', 'forward'])
def moved_in(request, moves_forward):
    """In which pass BatchNorm moves its running statistics: as on the CPU, or as by cuDNN."""
    if request.param == 'forward':
        moves_forward()
    return request.param
