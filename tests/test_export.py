"""`export`: the nets of finished runs in other programs."""
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from mxnet import autograd, nd
from safetensors import safe_open

from tests.processes import ROOT
from training import __main__ as main
from training.commands import export
from training.commands.opening import open_run
from training.storage import run_folder

README = (ROOT / 'training' / 'README.md').read_text()
LINES = {'onnx' if 'onnxruntime' in code else 'safetensors': code
         for code in re.findall(r'<!-- run -->\n```python\n(.*?)```', README, re.DOTALL)}
DIGITS = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL_CONV = ['n_latent=4', 'vae_base_channels=2', 'batch_size=8']
SMALL_VAEGAN = [*SMALL_CONV, 'n_hnodes=8', 'disc_hnodes=8', 'disc_base_channels=2']
RUNS = {  # of each family of nets: a row and what makes it small
    'dense': (DIGITS, ['n_hnodes=16']),
    'conv': ('ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
             [*SMALL_CONV, 'disc_base_channels=2']),
    'repaired': ('ConvVAE_on_anime/128_16_100_repaired', SMALL_CONV),
    'resnet': ('ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
               [*SMALL_CONV, 'disc_base_channels=2']),
    'gluoncv': ('ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
                [*SMALL_CONV, 'disc=gluoncv:cifar_resnet20_v1']),
    'deep': ('DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4',
             [*SMALL_CONV, 'disc_base_channels=2']),
    'gan': ('ConvDecoder_ResNet_on_anime/512_32_200', [*SMALL_CONV, 'disc_base_channels=2']),
    'A': ('VAEGAN_on_MNIST/A_64_100', [*SMALL_VAEGAN, 'n_classified=0']),
    'A of faces': ('VAEGAN_on_adult/A_2048_100_lr1',
                   [*SMALL_VAEGAN, 'data=anime', 'n_validation=0', 'pixels=signed']),
    'B': ('VAEGAN_on_MNIST/B_20_50', ['n_hnodes=8', 'disc_hnodes=8', 'batch_size=8']),
    'paper': ('VAEGAN_on_anime/paper_128_200', SMALL_VAEGAN),
}


def train(root: Path, data_root: Path, name: str, fields: list[str]) -> str:
    """Return the name of a run of an epoch."""
    epochs = '1+1' if name.startswith('Deep') else '1'
    assert main.main(['run', name, '--epochs', epochs, '--limit', '64', '--data-root',
                      str(data_root), '--results-root', str(root), '--ctx', 'cpu',
                      *(word for field in fields for word in ('--set', field))]) == 0
    run, = run_folder.finished_runs(root)
    return run


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data_root):
    root = tmp_path_factory.mktemp('trained')
    return root, train(root, data_root, *RUNS['dense'])


@pytest.fixture
def digits(trained, tmp_path) -> str:
    """The name of a finished run, which a test may change, in tmp_path / 'results'."""
    root, run = trained
    shutil.copytree(root, tmp_path / 'results')
    return run


@pytest.fixture
def write(cli, tmp_path):
    """Exports a run of that folder: run, format, name of the file, more words."""
    return lambda run, kind, out, *words: cli([
        'export', run, '--format', kind, '--out', str(tmp_path / out), *words, '--results-root',
        str(tmp_path / 'results')])


def read(path: Path) -> tuple[dict, dict]:
    """The arrays of a safetensors file, and what it says of them."""
    with safe_open(path, 'numpy') as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def nets(tmp_path: Path, run: str) -> dict:
    """Return what is exported of a run of that folder, by name."""
    return {part.name: part for part in export.nets_of(open_run(run, tmp_path / 'results'))}


def outputs(part, values: np.ndarray) -> list[np.ndarray]:
    """Return what MXNet makes of values (n, ...)."""
    with autograd.predict_mode():
        made = part.net(nd.array(values))
    return [one.asnumpy() for one in (made.split(2, axis=1) if len(part.gives) == 2 else [made])]


def inputs(part, n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    return (rng.random if part.takes.name == 'image' else rng.standard_normal)(
        (n, *part.takes.shape)).astype(np.float32)


@pytest.mark.parametrize('kind', ['safetensors', pytest.param('onnx', marks=pytest.mark.slow)])
def test_lines_of_the_readme_draw_digits(write, digits, tmp_path, monkeypatch, kind):
    if kind == 'onnx':
        pytest.importorskip('onnx'), pytest.importorskip('onnxruntime')
    assert write(digits, kind, f'digits.{kind}')[0] == 0
    parts = nets(tmp_path, digits)
    images = inputs(parts['encoder'], 5)
    mean, logvar = outputs(parts['encoder'], images)
    pictures, = outputs(parts['decoder'], mean)
    monkeypatch.chdir(tmp_path)
    np.save('images.npy', images)
    exec(LINES[kind], found := {})
    np.testing.assert_allclose(found['mean'], mean, atol=1e-5)
    np.testing.assert_allclose(found['logvar'], logvar, atol=1e-5)
    np.testing.assert_allclose(found['pictures'].reshape(pictures.shape), pictures, atol=1e-5)
    assert np.ptp(mean) > 1e-3 and np.ptp(pictures) > 1e-3


def test_safetensors_hold_all_nets_and_say_what_they_are(write, digits, tmp_path):
    assert write(digits, 'safetensors', 'a') == (0, f'{tmp_path}/a.safetensors\n', '')
    wanted = {f'{name}/{of}': parameter.data().asnumpy()
              for name, part in nets(tmp_path, digits).items()
              for of, parameter in part.net._collect_params_with_prefix().items()}
    assert {name.split('/')[0] for name in wanted} == {'encoder', 'decoder', 'discriminator'}
    found, metadata = read(tmp_path / 'a.safetensors')
    assert found.keys() == wanted.keys()
    assert all((found[name] == wanted[name]).all() for name in wanted)
    config = run_folder.read_config(tmp_path / 'results' / digits)
    assert metadata['run'] == digits and json.loads(metadata['row']) == config['row']
    assert metadata['image'].startswith('float32 (N, 1, 28, 28): pictures in [0, 1]')
    assert 'by reshape' in metadata['image'] and metadata['latent'].startswith('float32 (N, 5)')
    assert {'mean', 'logvar', 'picture', 'logit'} <= metadata.keys()


def test_only_what_is_there_is_exported(write, digits, tmp_path):
    folder, out = tmp_path / 'results' / digits, tmp_path / 'a.safetensors'
    assert write(digits, 'safetensors', 'a')[0] == 0
    whole, _ = read(out)
    for path in folder.glob('*.params'):
        path.unlink()
    status, _, err = write(digits, 'safetensors', 'a', '--force')
    assert (status, err) == (0, (
        f'not exported: the encoder, for {folder}/vae.params is not there, '
        f'the discriminator, for {folder}/disc.params is not there\n'))
    kept, metadata = read(out)
    assert kept.keys() == {name for name in whole if name.startswith('decoder/')}
    for name, array in kept.items():  # rounded to 16 bits there
        np.testing.assert_allclose(array, whole[name], rtol=2 ** -11, atol=2 ** -25)
    assert 'image' not in metadata
    before = out.read_bytes()
    (folder / run_folder.PICTURES).unlink()
    status, _, err = write(digits, 'safetensors', 'a', '--force')
    assert status == 2 and err.startswith(f'error: {folder}/vae.params: not there')
    assert err.count('\n') == 1 and out.read_bytes() == before


@pytest.mark.parametrize('kind, out, words, message', [
    ('safetensors', 'there', [], '{0}/there.safetensors: there already; --force writes over it'),
    ('safetensors', '', [], '--out {0}: a folder, expected'),
    ('safetensors', 'folder', ['--force'], '{0}/folder.safetensors: a folder, expected'),
    ('safetensors', 'there.safetensors/b', [], '{0}/there.safetensors: '),
    ('onnx', 'b', [], 'needs the package onnx as MXNet 1.9.1 knows it (import of onnx halted; '
     'None in sys.modules): pip install -r training/requirements-export.txt')])
def test_mistake_is_one_line_and_leaves_everything(write, digits, tmp_path, monkeypatch, kind, out,
                                                   words, message):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    (tmp_path / 'there.safetensors').write_text('mine')
    (tmp_path / 'folder.safetensors').mkdir()
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob('*')}
    status, said, err = write(digits, kind, out, *words)
    assert status == 2 and err.startswith('error: ') and err.count('\n') == 1
    assert message.format(tmp_path) in err and not said
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob('*')} == before


# What needs onnx, which `make slow` installs


@pytest.fixture
def onnxruntime():
    pytest.importorskip('onnx')
    return pytest.importorskip('onnxruntime')


@pytest.mark.slow
@pytest.mark.parametrize('family', RUNS)
def test_graph_gives_what_mxnet_gives(write, tmp_path, data_root, onnxruntime, family):
    import onnx
    run = train(tmp_path / 'results', data_root, *RUNS[family])
    status, out, err = write(run, 'onnx', 'a.onnx')
    assert (status, err) == (0, '')
    parts = nets(tmp_path, run)
    assert out.splitlines() == [f'{tmp_path}/a.{name}.onnx' for name in parts]
    assert ('encoder' in parts) == (family != 'gan')
    assert ('discriminator' in parts) == (family != 'repaired')
    for name, part in parts.items():
        path = tmp_path / f'a.{name}.onnx'
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(path)
        assert [(port.name, port.shape) for port in (*session.get_inputs(),
                                                     *session.get_outputs())] == [
            (tensor.name, ['N', *tensor.shape]) for tensor in (part.takes, *part.gives)]
        metadata = session.get_modelmeta().custom_metadata_map
        assert metadata['run'] == run and json.loads(metadata['row'])
        assert {*metadata} == {'run', 'row', *part.described()}
        for n in (1, 5):
            values = inputs(part, n)
            for found, wanted in zip(session.run(None, {part.takes.name: values}),
                                     outputs(part, values), strict=True):
                assert found.shape == wanted.shape and np.ptp(wanted, axis=0).any() == (n > 1)
                np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.slow
def test_graph_that_cannot_be_made_is_one_line(write, digits, tmp_path, monkeypatch, onnxruntime):
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

    from training.storage import exported
    (tmp_path / 'a.decoder.onnx').write_text('mine')
    status, _, err = write(digits, 'onnx', 'a')  # one of three is in the way
    assert status == 2 and err.startswith(f'error: {tmp_path}/a.decoder.onnx: there already')
    with monkeypatch.context() as patch:
        patch.setattr(exported, 'MOST_BYTES', 100)
        status, _, err = write(digits, 'onnx', 'a', '--force')
        assert status == 2 and err.startswith('error: encoder: 0.0 GB of parameters, expected')
    for operators in MXNetGraph.registry_.values():
        monkeypatch.delitem(operators, 'FullyConnected', raising=False)
    status, _, err = write(digits, 'onnx', 'a', '--force')
    assert status == 2 and 'error: encoder: no ONNX graph can be made of it' in err
    assert err.count('\n') == 1 and (tmp_path / 'a.decoder.onnx').read_text() == 'mine'
    assert not (tmp_path / 'a.encoder.onnx').exists()
