"""What a command keeps from one row to the next, and from one start to the next."""
import numpy as np
import pytest

from data.loading import load
from training.commands import train as commands
from training.reporting import pictures
from training.reporting.statistics import read_classes
from training.storage import checkpoints


@pytest.mark.parametrize('pattern, least', [
    ('ConvVAE_on_anime/*', 3), ('Dense*_200*', 4),
    ('*N*_on_anime/*_200', 2)])  # of one split in two layouts
def test_every_row_is_trained_on_its_own_images(cli, data_root, tmp_path, monkeypatch, pattern,
                                                least):
    """In its own split and layout, whichever row came before."""
    trained = []
    monkeypatch.setattr(commands, 'train_row', lambda row, dataset, *_: trained.append(
        (row, dataset)))
    status, _, err = cli(['run', '--match', pattern, '--results-root', str(tmp_path),
                          '--data-root', str(data_root), '--ctx', 'cpu'])
    assert status == 0 and len(trained) >= least, err
    kinds = [(row.data, row.layout, row.shuffle_seed) for row, _ in trained]
    assert len(set(kinds)) >= 2
    for row, dataset in trained:
        own = load(row.data, data_root, row.layout, row.shuffle_seed)
        assert dataset.source == own.source
        for ours, wanted in ((dataset.train, own.train), (dataset.test, own.test)):
            assert (ours[np.arange(10)] == wanted[np.arange(10)]).all()


@pytest.mark.parametrize('limit', ['none', '160', '60000'])
def test_limit_above_the_images_makes_no_second_name(on_digits, monkeypatch, limit):
    trained = []
    monkeypatch.setattr(commands, 'train_row', lambda row, *_: trained.append(row.name))
    assert on_digits('run', 'DenseVAE_on_MNIST/5_3_400_bce_50', '--set', 'pixel_loss=l2',
                     '--limit', limit)[0] == 0
    assert trained == ['DenseVAE_on_MNIST/5_3_400_l2_50']


class Cut(BaseException):
    """In place of a kill."""


def test_every_epochs_classes_are_counted_once(cli, mnist_root, tmp_path, monkeypatch):
    """Also where a run was cut off between them and the checkpoint of their epoch."""
    monkeypatch.setattr('training.evaluation.classifier.fit',
                        lambda *_: lambda pixels: (None, pixels.sum((1, 2, 3), int) % 10))
    command = ['run', 'VAEGAN_on_MNIST/B_20_50', '--set', 'n_hnodes=8', '--set', 'disc_hnodes=8',
               '--set', 'n_latent=3', '--limit', '128', '--epochs', '3', '--set',
               'n_classified=30', '--set', 'grid_side=2', '--ctx', 'cpu', '--data-root',
               str(mnist_root)]
    save = checkpoints.Keeper.on_epoch

    def cut(keeper, progress):
        if len(progress.records) == 2:
            raise Cut
        save(keeper, progress)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.Keeper, 'on_epoch', cut)
        with pytest.raises(Cut):
            cli([*command, '--results-root', str(tmp_path / 'cut')])
    found = {}
    for name in ('cut', 'whole'):
        status, _, err = cli([*command, '--results-root', str(tmp_path / name)])
        assert status == 0, err
        path, = (tmp_path / name).rglob(pictures.CLASSES)
        found[name] = read_classes(path)
    assert [line['epoch'] for line in found['cut']] == [1, 2, 3]
    assert found['cut'] == found['whole']
