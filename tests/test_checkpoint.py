"""Parameter files: to the bit and back, and nothing but whole ones of the right net."""
import resource
import struct
import tracemalloc

import numpy as np
import pytest
from mxnet import autograd, cpu, nd

from models.conv import conv_vae
from models.dense import dense_vae
from training.storage import parameters

NETS = {
    'dense': (dense_vae, (1, 8, 8), {'n_latent': 3, 'n_hlayers': 2, 'n_hnodes': 5}),
    'conv': (conv_vae, (3, 64, 64), {'n_latent': 3, 'base_channels': 2}),
}


def build(kind: str, trained: bool = True, **changes):
    builder, shape, options = NETS[kind]
    options = options | changes
    vae = builder(shape, **options)
    if trained:
        vae.initialize()
        with autograd.record():
            noise = nd.ones((4, options['n_latent']))
            loss = vae(nd.random.uniform(shape=(4, *shape)), noise)[0].sum()
        loss.backward()  # moves running statistics
    return vae


def values(net) -> list[np.ndarray]:
    return [p.data().asnumpy() for p in net.collect_params().values()]


@pytest.mark.parametrize('kind', NETS)
def test_parameters_come_back_to_the_bit_as_mxnet_reads_them(kind, tmp_path):
    path, vae, again = tmp_path / 'vae.params', build(kind), build(kind, trained=False)
    parameters.save(vae, path)
    assert [*tmp_path.iterdir()] == [path]
    parameters.load(again, path, cpu())
    assert all((a == b).all() for a, b in zip(values(vae), values(again), strict=True))
    for name, untrained in (('running_mean', 0), ('running_var', 1)):
        moved = again.collect_params(f'.*{name}').values()
        assert bool(moved) == (kind == 'conv')
        assert all((one.data().asnumpy() != untrained).any() for one in moved)
    ours, theirs = parameters.read(path), nd.load(str(path))
    assert ours.keys() == theirs.keys()
    assert all((ours[k] == theirs[k].asnumpy()).all() for k in ours)


def refusal(path, net) -> str | None:
    """Why a file is refused, in one line; that changes nothing. None if it is not refused."""
    before = values(net)
    try:
        parameters.load(net, path, cpu())
    except parameters.ParamsError as error:
        assert all((a == b).all() for a, b in zip(values(net), before, strict=True))
        assert str(path) in str(error) and '\n' not in str(error)
        return str(error)
    return None


def test_damaged_file_is_refused_or_read_whole(tmp_path):
    path, net = tmp_path / 'vae.params', build('dense')
    assert 'No such file' in refusal(path, net)
    parameters.save(build('dense'), path)
    content = path.read_bytes()
    for end in [*range(0, 60, 7), *range(60, len(content), len(content) // 40), len(content) - 1]:
        path.write_bytes(content[:end])
        assert refusal(path, net)
    path.write_bytes(content + b'0')
    assert refusal(path, net)
    shapes = sorted(value.shape for value in values(net))
    for at in [*range(60), *np.random.default_rng(0).integers(60, len(content), 100)]:
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xff]) + content[at + 1:])
        assert refusal(path, net) or shapes == sorted(
            array.shape for array in parameters.read(path).values())


@pytest.mark.parametrize('kind, saved, here, said', [
    ('dense', {'n_hnodes': 6}, {}, 'has shape'), ('dense', {'n_latent': 4}, {}, 'has shape'),
    ('dense', {'n_hlayers': 3}, {}, 'is only in the file'),
    ('dense', {}, {'n_hlayers': 3}, 'is only in the net'), ('conv', {}, {}, 'is only in the ')])
def test_parameters_of_another_net_are_refused(tmp_path, kind, saved, here, said):
    parameters.save(build('dense', **saved), tmp_path / 'vae.params')
    message = refusal(tmp_path / 'vae.params', build(kind, **here))
    assert 'parameters of another net' in message and said in message


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
    net = build('dense')
    tracemalloc.start()
    assert refusal(path, net)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize('missing', [1, 300])
def test_save_to_a_full_disk_keeps_the_old_file(tmp_path, missing):
    path, net = tmp_path / 'vae.params', build('dense')
    parameters.save(build('dense'), path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - missing, limits[1]))
    try:
        with pytest.raises(OSError, match='File too large') as error:
            parameters.save(net, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(path) and path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
