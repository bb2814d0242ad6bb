"""The page in which nets draw: its command, its data, and nets as plain layers in NumPy.

In a browser it is tested by test_explorer_browser.py.
"""
import base64
import json
import re
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mxnet import autograd, nd
from mxnet.gluon import nn

import models
from models import plain
from tests.drawing import NETS, RandomNet, pictures
from tests.test_page import assert_local_and_labelled
from training.commands import explorer as command
from training.reporting import explorer
from training.storage import run_folder

RESULTS = Path(__file__).resolve().parent.parent / 'results'
SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50_shared'  # pictures.safetensors alone
GAN = ('ConvDecoder_ResNet_on_anime/'
       '512_32_16_n_latent-128_vae_base_channels-16_disc_base_channels-16')


def conv(x, weight, bias, takes, gives, stride, pad):
    x = np.pad(x.reshape(takes), ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (1, 2))
    return np.einsum('oikl,ihwkl->ohw', weight, windows[:, ::stride, ::stride],
                     optimize=True) + bias[:, None, None]


def deconv(x, weight, bias, takes, gives, stride, pad):
    side, kernel = takes[1], weight.shape[-1]
    y = np.zeros((gives[0], *(gives[1] + 2 * pad + kernel,) * 2))
    for i in range(kernel):
        for j in range(kernel):
            y[:, i:i + stride * side:stride, j:j + stride * side:stride] += np.einsum(
                'io,ihw->ohw', weight[:, :, i, j], x.reshape(takes))
    return y[:, pad:pad + gives[1], pad:pad + gives[2]] + bias[:, None, None]


def scale(x, factor, offset, gives):
    x = x.reshape(gives)
    along = (-1, *[1] * (x.ndim - 1))
    return x * factor.reshape(along) + offset.reshape(along)


RUN = {'dense': lambda x, weight, bias: weight @ x.reshape(-1) + bias,
       'conv': conv, 'deconv': deconv, 'scale': scale,
       'relu': lambda x: np.maximum(x, 0), 'sigmoid': lambda x: 1 / (1 + np.exp(-x)),
       'tanh': np.tanh, 'leaky': lambda x, slope: np.where(x > 0, x, slope * x)}


def run(layers: list, x: np.ndarray) -> np.ndarray:
    """What the layers make of one input, flat."""
    for layer in layers:
        x = RUN[layer.kind](x, *layer.arrays, **layer.options)
    return x.reshape(-1)


@pytest.mark.parametrize('family', NETS)
def test_plain_layers_do_what_the_net_does(family):
    net = RandomNet(family)
    encoder, decoder = net.layers()
    z = np.random.default_rng(1).normal(size=(3, net.row.n_latent)).astype(np.float32)
    with autograd.predict_mode():
        drawn = net.decoder(nd.array(z)).asnumpy().reshape(3, -1)
    assert drawn.std() > 0.03
    assert np.stack([run(decoder, one) for one in z]) == pytest.approx(drawn, abs=1e-5)
    if encoder is not None:
        x = np.random.default_rng(2).uniform(size=(3, *net.shape)).astype(np.float32)
        with autograd.predict_mode():
            codes = net.vae.encoder(nd.array(x)).asnumpy()
        assert np.stack([run(encoder, one) for one in x]) == pytest.approx(codes, abs=1e-4)


def test_layer_that_is_not_known_is_an_error():
    net = nn.HybridSequential()
    net.add(nn.PReLU())
    with pytest.raises(models.ModelError, match='PReLU: a layer that is not drawn outside'):
        plain.layers(net, (1, 2, 2))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """A page of two dense nets and a plain GAN, and its groups."""
    path = tmp_path_factory.mktemp('explorer') / 'explorer.html'
    digits = pictures((1, 28, 28), 30)
    first, second = (RandomNet('dense', seed).in_page(digits, whole=seed == 0)
                     for seed in range(2))
    second = replace(second, title='</script><b>', name='a&b/<i>')
    gan = RandomNet('gan')
    groups = [explorer.Group('digits', (1, 28, 28), 5, digits, [first, second]),
              explorer.Group('faces', gan.shape, 4, None, [gan.in_page(np.zeros((0, 64, 64, 3)))])]
    explorer.write(path, groups)
    return path, groups


def inside(path: Path, name: str) -> str:
    text, = re.findall(rf' id="{name}">(.*?)</script>', path.read_text(), re.S)
    return text


def held(path: Path, name: str) -> bytes:
    return zlib.decompress(base64.b64decode(inside(path, name)))


def told(path: Path) -> list[dict]:
    """What a page has to know of its groups beside values."""
    return json.loads(inside(path, 'data'))


def test_values_of_a_net_stand_in_the_page_as_16_bit_floats(written):
    path, groups = written
    for group, of_group in zip(groups, told(path), strict=True):
        for net, one in zip(group.nets, of_group['nets'], strict=True):
            planes = np.frombuffer(held(path, f'values-{one["place"]}'), np.uint8).reshape(2, -1)
            values = np.ascontiguousarray(planes.T).view('<f2')[:, 0].astype(np.float64)
            for name in [name for name in ('encoder', 'decoder') if name in one['parts']]:
                for layer, of in zip(getattr(net, name), one['parts'][name], strict=True):
                    assert of['kind'] == layer.kind
                    for array, about in zip(layer.arrays, of['arrays'], strict=True):
                        mine, values = values[:about['size']], values[about['size']:]
                        assert mine * about['scale'] == pytest.approx(
                            array.reshape(-1), rel=2 ** -11, abs=2 ** -24 * about['scale'])
            assert not len(values)


def test_page_holds_twenty_pictures_and_their_codes(written):
    path, (digits, faces) = written
    stored = np.frombuffer(held(path, 'pictures-0'), np.uint8).reshape(20, 28, 28, 1)
    assert np.array_equal(stored, digits.originals[:20]) and held(path, 'pictures-1') == b''
    mean, logvar = np.frombuffer(held(path, 'codes-1'), '<f4').reshape(2, 20, 5)
    assert np.array_equal(mean, digits.nets[1].mean[:20])
    assert np.array_equal(logvar, digits.nets[1].logvar[:20])
    assert held(path, 'codes-2') == b''


def test_sliders_are_of_the_latents_that_say_most(tmp_path):
    net = RandomNet('dense', n_latent=12)
    digits = pictures(net.shape, 10)
    mean, logvar = np.zeros((10, 12)), np.zeros((10, 12))
    mean[:5], mean[5:] = np.arange(12), -np.arange(12)
    shown = replace(net.in_page(digits), mean=mean, logvar=logvar)
    explorer.write(tmp_path / 'a.html', [explorer.Group('a', net.shape, 12, digits, [shown])])
    sliders = told(tmp_path / 'a.html')[0]['nets'][0]['sliders']
    assert [(of['latent'], of['spread'], of['kl']) for of in sliders] == [
        (n, n, n ** 2 / 2) for n in range(11, 3, -1)]


def test_page_needs_no_network_and_names_are_text(written):
    assert_local_and_labelled(written[0])
    text = written[0].read_text()
    assert '</script><b>' not in text and '<i>' not in text


def test_command_writes_a_page_without_the_data(cli, tmp_path):
    """Ten pictures stand beside the results; a run without its encoder says so."""
    out = tmp_path / 'new' / 'digits.html'
    status, printed, err = cli(['explorer', SOLO, COMBO, GAN, SOLO, '--out', str(out), '--ctx',
                                'cpu'])
    assert (status, printed) == (0, f'{out}\n'), err
    assert f'{COMBO}: no pictures of your own, for its encoder is not in this page' in err
    assert f'{GAN}: no pictures of your own, for a plain GAN: it has no encoder' in err
    digits, faces = told(out)
    assert [digits['title'], faces['title']] == ['MNIST, 5 latents', 'anime, 128 latents']
    assert [(net['name'], net['encodes'], net['measured']) for net in digits['nets']] == [
        (SOLO, True, 10), (COMBO, False, 100)]
    assert (digits['pictures'], faces['pictures']) == (10, 0)
    assert len(out.read_bytes()) < 6e6


def test_runs_of_one_name_are_told_apart_and_large_encoders_stay_outside(cli, tmp_path,
                                                                         monkeypatch):
    monkeypatch.setattr(command, 'MOST_VALUES', 1000)
    mine, out = shutil.copytree(RESULTS / 'images' / SOLO, tmp_path / SOLO), tmp_path / 'a.html'
    status, _, err = cli(['explorer', SOLO, str(mine), '--out', str(out), '--ctx', 'cpu'])
    assert status == 0, err
    assert err.count('its encoder is too large for a page (638,810 parameters)') == 2
    (first, second), = (group['nets'] for group in told(out))
    assert (first['name'], second['name']) == (str(RESULTS / 'images' / SOLO), str(mine))
    assert second['labels'] == [str(mine)] and (first['place'], second['place']) == (0, 1)
    assert 'its encoder is too large' in first['absent'] and not first['encodes']


@pytest.mark.parametrize('words, message', [
    ([SOLO, '--out', '{}/page.pdf'], '--out {}/page.pdf: expected a name that ends in .html'),
    ([SOLO, '--out', '{}/a.html'], '--out {}/a.html: a folder, expected the name of a file'),
    ([SOLO, '--out', '{}/old.html'], '{}/old.html: there already; --force writes over it'),
    ([SOLO, '--out', '{}/old.html/a.html'], '{}/old.html: Not a directory'),
    (['DenseVAE_on_MNIST/gone', '--out', '{}/b.html'], 'no finished run'),
    ([SOLO, '--out', '{}/b.html', '--data-root', '{}'], 'MNIST'),
    (['{}/damaged', '--out', '{}/b.html'], 'not a whole file of pictures'),
    (['{}/empty', '--out', '{}/b.html'], 'vae.params: not there'),
])
def test_what_cannot_be_shown_is_one_line(cli, tmp_path, words, message):
    (tmp_path / 'a.html').mkdir()
    (tmp_path / 'old.html').write_text('before')
    for name in ('damaged', 'empty'):
        run = shutil.copytree(RESULTS / 'images' / COMBO, tmp_path / name)
        (run / run_folder.PICTURES).write_bytes(b'no pictures')
    (run / run_folder.PICTURES).unlink()
    before = sorted(tmp_path.rglob('*'))
    status, out, err = cli(['explorer', *(word.format(tmp_path) for word in words)])
    assert (status, out) == (2, '') and message.format(tmp_path) in err.splitlines()[-1]
    assert sorted(tmp_path.rglob('*')) == before
    assert (tmp_path / 'old.html').read_text() == 'before'
