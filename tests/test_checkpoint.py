"""Parameter files: to the bit and back, and nothing but whole ones of the right net."""
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import autograd, cpu, nd

import models
from training import checkpoint

ROWS = {
    'dense': (SimpleNamespace(vae='DenseVAE', n_latent=3, n_hlayers=2, n_hnodes=5, data='x'),
              (1, 8, 8)),
    'conv': (SimpleNamespace(vae='ConvVAE', n_latent=3, vae_base_channels=2, data='x'),
             (3, 64, 64)),
}


def build(kind: str, trained: bool = True, **changes):
    row, shape = ROWS[kind]
    vae = models.build_vae(SimpleNamespace(**vars(row) | changes), shape)
    if trained:
        vae.initialize()
        with autograd.record():
            loss = vae(nd.random.uniform(shape=(4, *shape)), nd.ones((4, 3)))[0].sum()
        loss.backward()  # moves running statistics
    return vae


def values(net) -> list[np.ndarray]:
    return [p.data().asnumpy() for p in net.collect_params().values()]


@pytest.mark.parametrize('kind', ROWS)
def test_parameters_come_back_to_the_bit(kind, tmp_path):
    vae, again = build(kind), build(kind, trained=False)
    checkpoint.save(vae, tmp_path / 'vae.params')
    checkpoint.load(again, tmp_path / 'vae.params', cpu())
    assert all((a == b).all() for a, b in zip(values(vae), values(again), strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ['vae.params']


@pytest.mark.parametrize('kind', ROWS)
def test_file_is_read_as_mxnet_reads_it(kind, tmp_path):
    checkpoint.save(build(kind), tmp_path / 'vae.params')
    ours, theirs = checkpoint.read(tmp_path / 'vae.params'), nd.load(str(tmp_path / 'vae.params'))
    assert ours.keys() == theirs.keys()
    assert all((ours[k] == theirs[k].asnumpy()).all() for k in ours)


def refused(path, net=None) -> str:
    net = net or build('dense')
    before = values(net)
    with pytest.raises(checkpoint.ParamsError) as error:
        checkpoint.load(net, path, cpu())
    assert all((a == b).all() for a, b in zip(values(net), before, strict=True))
    assert str(path) in str(error.value) and '\n' not in str(error.value)
    return str(error.value)


def test_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / 'vae.params'
    checkpoint.save(build('dense'), path)
    content = path.read_bytes()
    for end in [*range(0, 60, 7), *range(60, len(content), len(content) // 40), len(content) - 1]:
        path.write_bytes(content[:end])
        refused(path)
    path.write_bytes(content + b'0')
    refused(path)


def test_file_with_a_changed_byte_is_refused_or_read_whole(tmp_path):
    path = tmp_path / 'vae.params'
    checkpoint.save(build('dense'), path)
    content = path.read_bytes()
    shapes = {k: v.shape for k, v in checkpoint.read(path).items()}
    rng = np.random.default_rng(0)
    for position in [*range(60), *rng.integers(60, len(content), 300)]:
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xff])
                         + content[position + 1:])
        try:
            found = checkpoint.read(path)
        except checkpoint.ParamsError:
            continue
        assert sorted(v.shape for v in found.values()) == sorted(shapes.values())


@pytest.mark.parametrize('changes', [{'n_hnodes': 6}, {'n_hlayers': 3}, {'n_latent': 4}])
def test_parameters_of_another_net_are_refused(tmp_path, changes):
    checkpoint.save(build('dense'), tmp_path / 'vae.params')
    other = build('dense', trained=False, **changes)
    other.initialize()
    other(nd.zeros((1, 1, 8, 8)), nd.zeros((1, changes.get('n_latent', 3))))
    assert 'another net' in refused(tmp_path / 'vae.params', other)


def test_missing_file_is_refused(tmp_path):
    assert 'No such file' in refused(tmp_path / 'vae.params')


def test_save_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'vae.params'
    checkpoint.save(build('dense'), path)
    before = path.read_bytes()
    monkeypatch.setattr(checkpoint.os, 'fsync', lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoint.save(build('dense'), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['vae.params']
