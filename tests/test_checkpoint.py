"""Parameter files: to the bit and back, and nothing but whole ones of the right net."""
import resource
import struct
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from mxnet import autograd, cpu, nd
from mxnet.gluon import nn

from models.conv import conv_vae
from models.dense import dense_vae
from training.storage import parameters

NETS = {
    'dense': (dense_vae, (1, 8, 8), {'n_latent': 3, 'n_hlayers': 2, 'n_hnodes': 5}),
    'conv': (conv_vae, (3, 64, 64), {'n_latent': 3, 'base_channels': 2}),
}


def build(kind: str, trained: bool = True, **changes):
    builder, shape, options = NETS[kind]
    vae = builder(shape, **options | changes)
    if trained:
        vae.initialize()
        with autograd.record():
            loss = vae(nd.random.uniform(shape=(4, *shape)), nd.ones((4, 3)))[0].sum()
        loss.backward()  # moves running statistics
    return vae


def values(net) -> list[np.ndarray]:
    return [p.data().asnumpy() for p in net.collect_params().values()]


@pytest.mark.parametrize('kind', NETS)
def test_parameters_come_back_to_the_bit(kind, tmp_path):
    vae, again = build(kind), build(kind, trained=False)
    parameters.save(vae, tmp_path / 'vae.params')
    parameters.load(again, tmp_path / 'vae.params', cpu())
    assert all((a == b).all() for a, b in zip(values(vae), values(again), strict=True))
    for name, untrained in (('running_mean', 0), ('running_var', 1)):
        moved = again.collect_params(f'.*{name}').values()
        assert bool(moved) == (kind == 'conv')
        assert all((one.data().asnumpy() != untrained).any() for one in moved)
    assert [p.name for p in tmp_path.iterdir()] == ['vae.params']


@pytest.mark.parametrize('kind', NETS)
def test_file_is_read_as_mxnet_reads_it(kind, tmp_path):
    parameters.save(build(kind), tmp_path / 'vae.params')
    ours = parameters.read(tmp_path / 'vae.params')
    theirs = nd.load(str(tmp_path / 'vae.params'))
    assert ours.keys() == theirs.keys()
    assert all((ours[k] == theirs[k].asnumpy()).all() for k in ours)


def refused(path, net=None) -> str:
    net = net or build('dense')
    before = values(net)
    with pytest.raises(parameters.ParamsError) as error:
        parameters.load(net, path, cpu())
    assert all((a == b).all() for a, b in zip(values(net), before, strict=True))
    assert str(path) in str(error.value) and '\n' not in str(error.value)
    return str(error.value)


def test_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / 'vae.params'
    parameters.save(build('dense'), path)
    content = path.read_bytes()
    net, step = build('dense'), len(content) // 40
    for end in [*range(0, 60, 7), *range(60, len(content), step), len(content) - 1]:
        path.write_bytes(content[:end])
        refused(path, net)
    path.write_bytes(content + b'0')
    refused(path, net)


def test_file_with_a_changed_byte_is_refused_or_read_whole(tmp_path):
    path = tmp_path / 'vae.params'
    parameters.save(build('dense'), path)
    content = path.read_bytes()
    shapes = {k: v.shape for k, v in parameters.read(path).items()}
    net = build('dense')
    rng = np.random.default_rng(0)
    for at in [*range(60), *rng.integers(60, len(content), 100)]:
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xff]) + content[at + 1:])
        before = values(net)
        try:
            parameters.load(net, path, cpu())
        except parameters.ParamsError:
            assert all((a == b).all() for a, b in zip(values(net), before, strict=True))
            continue
        arrays = parameters.read(path)
        assert sorted(v.shape for v in arrays.values()) == sorted(shapes.values())


@pytest.mark.parametrize('kind, changes', [
    ('dense', {'n_hnodes': 6}), ('dense', {'n_hlayers': 3}), ('dense', {'n_latent': 4}),
    ('conv', {})])
def test_parameters_of_another_net_are_refused(tmp_path, kind, changes):
    parameters.save(build('dense'), tmp_path / 'vae.params')
    other, (_, shape, _) = build(kind, trained=False, **changes), NETS[kind]
    other.initialize()
    other(nd.zeros((1, *shape)), nd.zeros((1, changes.get('n_latent', 3))))
    assert 'another net' in refused(tmp_path / 'vae.params', other)


def test_parameters_too_many_or_too_few_are_refused(tmp_path):
    net, larger = build('dense'), build('dense')
    larger.extra = nn.Dense(1, in_units=1)
    larger.extra.initialize()
    for saved_net, other, place in ((larger, net, 'file'), (net, larger, 'net')):
        parameters.save(saved_net, tmp_path / 'vae.params')
        message = refused(tmp_path / 'vae.params', other)
        assert "'extra." in message and f'only in the {place}' in message


def array_header(*shape: int) -> bytes:
    return struct.pack(f'<IiI{len(shape)}qiii', 0xF993FAC9, 0, len(shape), *shape, 1, 0, 0)


LIST = struct.pack('<QQQ', 0x112, 0, 1)  # of one array


@pytest.mark.parametrize('content', [
    struct.pack('<QQQ', 0x112, 0, 2 ** 63),
    LIST + array_header(2 ** 40),
    LIST + array_header(*[2 ** 62] * 8),
    LIST + array_header(2 ** 32, 2 ** 32),  # 0 elements to who counts in 64 bits
    LIST + struct.pack('<IiI', 0xF993FAC9, 0, 2 ** 32 - 1),
    LIST + array_header(1) + bytes(4) + struct.pack('<QQ', 1, 2 ** 63),
    LIST + array_header(1) + bytes(4) + struct.pack('<Q', 2 ** 63),
], ids=['arrays', 'values', 'overflow', 'overflow to none', 'dimensions', 'name', 'names'])
def test_header_cannot_ask_for_all_memory(tmp_path, content):
    path = tmp_path / 'vae.params'
    path.write_bytes(content + bytes(1000))
    tracemalloc.start()
    refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_missing_file_is_refused(tmp_path):
    assert 'No such file' in refused(tmp_path / 'vae.params')


@contextmanager
def no_file_longer_than(n_bytes: int):
    """As on a full disk: what is written beyond is lost."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def saved(tmp_path):
    """A whole file, which has to be there and alone afterwards."""
    path = tmp_path / 'vae.params'
    parameters.save(build('dense'), path)
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['vae.params']


@pytest.mark.parametrize('missing', [1, 300])
def test_save_to_a_full_disk_keeps_the_old_file(saved, missing):
    net = build('dense')
    with no_file_longer_than(saved.stat().st_size - missing):
        with pytest.raises(OSError, match='File too large') as error:
            parameters.save(net, saved)
    assert error.value.filename == str(saved)


def test_save_that_fails_keeps_the_old_file(saved, monkeypatch):
    monkeypatch.setattr(parameters.files.os, 'fsync', lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        parameters.save(build('dense'), saved)


def test_save_of_a_net_without_values_keeps_the_old_file(saved):
    with pytest.raises(RuntimeError, match='not been initialized'):
        parameters.save(build('dense', trained=False), saved)
