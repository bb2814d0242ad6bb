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

from training import __main__ as main
from training.commands import export
from training.commands.opening import open_run
from training.storage import run_folder

ROOT = Path(__file__).resolve().parent.parent
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


def train(root: Path, data_root: Path, name: str, fields: list[str]) -> tuple[str, list[str]]:
    """Return the name of a run of an epoch, and the option that says where it is."""
    epochs = '1+1' if name.startswith('Deep') else '1'
    assert main.main(['run', name, '--epochs', epochs, '--limit', '64', '--data-root',
                      str(data_root), '--results-root', str(root), '--ctx', 'cpu',
                      *(word for field in fields for word in ('--set', field))]) == 0
    run, = run_folder.finished_runs(root)
    return run, ['--results-root', str(root)]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data_root):
    root = tmp_path_factory.mktemp('trained')
    return root, *train(root, data_root, *RUNS['dense'])


@pytest.fixture
def digits(trained, tmp_path):
    """The name of a finished run, which a test may change, and the option that says where."""
    root, run, _ = trained
    shutil.copytree(root, tmp_path / 'results')
    return run, ['--results-root', str(tmp_path / 'results')]


def nets(run: str, where: list[str]) -> dict:
    """Return what is exported of a run, by name."""
    return {part.name: part for part in export.nets_of(open_run(run, where[1]))}


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
def test_lines_of_the_readme_draw_digits(cli, digits, tmp_path, monkeypatch, kind):
    if kind == 'onnx':
        pytest.importorskip('onnx'), pytest.importorskip('onnxruntime')
    run, where = digits
    assert cli(['export', run, '--format', kind, '--out', str(tmp_path / f'digits.{kind}'),
                *where])[0] == 0
    parts = nets(run, where)
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


def test_safetensors_hold_all_nets_and_say_what_they_are(cli, digits, tmp_path):
    run, where = digits
    status, out, err = cli(['export', run, '--format', 'safetensors', '--out', str(tmp_path / 'a'),
                            *where])
    assert (status, out, err) == (0, f'{tmp_path / "a.safetensors"}\n', '')
    wanted = {f'{name}/{of}': parameter.data().asnumpy() for name, part in nets(run, where).items()
              for of, parameter in part.net._collect_params_with_prefix().items()}
    assert {name.split('/')[0] for name in wanted} == {'encoder', 'decoder', 'discriminator'}
    with safe_open(tmp_path / 'a.safetensors', 'numpy') as file:
        found = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    assert found.keys() == wanted.keys()
    assert all((found[name] == wanted[name]).all() for name in wanted)
    config = json.loads((tmp_path / 'results' / run / run_folder.CONFIG).read_text())
    assert metadata['run'] == run and json.loads(metadata['row']) == config['row']
    assert metadata['image'].startswith('float32 (N, 1, 28, 28): pictures in [0, 1]')
    assert 'by reshape' in metadata['image'] and metadata['latent'].startswith('float32 (N, 5)')
    assert {'mean', 'logvar', 'picture', 'logit'} <= metadata.keys()


def test_only_what_is_there_is_exported(cli, digits, tmp_path):
    run, where = digits
    folder, out = tmp_path / 'results' / run, tmp_path / 'a.safetensors'
    command = ['export', run, '--format', 'safetensors', '--out', str(out), *where]
    assert cli(command)[0] == 0
    with safe_open(out, 'numpy') as file:
        whole = {name: file.get_tensor(name) for name in file.keys()}
    for path in folder.glob('*.params'):
        path.unlink()
    status, _, err = cli([*command, '--force'])
    assert (status, err) == (0, (
        f'not exported: the encoder, for {folder}/vae.params is not there, '
        f'the discriminator, for {folder}/disc.params is not there\n'))
    with safe_open(out, 'numpy') as file:
        assert set(file.keys()) == {name for name in whole if name.startswith('decoder/')}
        for name in file.keys():  # rounded to 16 bits there
            np.testing.assert_allclose(file.get_tensor(name), whole[name], rtol=2 ** -11,
                                       atol=2 ** -25)
        assert 'image' not in file.metadata()
    before = out.read_bytes()
    (folder / run_folder.PICTURES).unlink()
    status, _, err = cli([*command, '--force'])
    assert status == 2 and err.startswith(f'error: {folder}/vae.params: not there')
    assert err.count('\n') == 1 and out.read_bytes() == before


@pytest.mark.parametrize('words, message', [
    (['--format', 'safetensors', '--out', '{0}/there'],
     '{0}/there.safetensors: there already; --force writes over it'),
    (['--format', 'safetensors', '--out', '{0}'], '--out {0}: a folder, expected'),
    (['--format', 'safetensors', '--out', '{0}/folder', '--force'],
     '{0}/folder.safetensors: a folder, expected'),
    (['--format', 'safetensors', '--out', '{0}/there.safetensors/b'], '{0}/there.safetensors: '),
    (['--format', 'onnx', '--out', '{0}/b'],
     'needs the package onnx as MXNet 1.9.1 knows it (import of onnx halted; None in sys.modules)'
     ': pip install -r training/requirements-export.txt'),
])
def test_mistake_is_one_line_and_leaves_everything(cli, digits, tmp_path, monkeypatch, words,
                                                   message):
    run, where = digits
    monkeypatch.setitem(sys.modules, 'onnx', None)
    (tmp_path / 'there.safetensors').write_text('mine')
    (tmp_path / 'folder.safetensors').mkdir()
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob('*')}
    status, out, err = cli(['export', run, *(word.format(tmp_path) for word in words), *where])
    assert status == 2 and err.startswith('error: ') and err.count('\n') == 1
    assert message.format(tmp_path) in err and not out
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob('*')} == before


# What needs onnx, which `make slow` installs


@pytest.fixture
def onnxruntime():
    pytest.importorskip('onnx')
    return pytest.importorskip('onnxruntime')


@pytest.mark.slow
@pytest.mark.parametrize('family', RUNS)
def test_graph_gives_what_mxnet_gives(cli, tmp_path, data_root, onnxruntime, family):
    import onnx
    run, where = train(tmp_path, data_root, *RUNS[family])
    status, out, err = cli(['export', run, '--format', 'onnx', '--out', str(tmp_path / 'a.onnx'),
                            *where])
    assert (status, err) == (0, '')
    parts = nets(run, where)
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
def test_graph_that_cannot_be_made_is_one_line(cli, digits, tmp_path, monkeypatch, onnxruntime):
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

    from training.storage import exported
    run, where = digits
    command = ['export', run, '--format', 'onnx', '--out', str(tmp_path / 'a'), *where]
    (tmp_path / 'a.decoder.onnx').write_text('mine')
    status, _, err = cli(command)  # one of three is in the way
    assert status == 2 and err.startswith(f'error: {tmp_path}/a.decoder.onnx: there already')
    with monkeypatch.context() as patch:
        patch.setattr(exported, 'MOST_BYTES', 100)
        status, _, err = cli([*command, '--force'])
        assert status == 2 and err.startswith('error: encoder: 0.0 GB of parameters, expected')
    for operators in MXNetGraph.registry_.values():
        monkeypatch.delitem(operators, 'FullyConnected', raising=False)
    status, _, err = cli([*command, '--force'])
    assert status == 2 and 'error: encoder: no ONNX graph can be made of it' in err
    assert err.count('\n') == 1 and (tmp_path / 'a.decoder.onnx').read_text() == 'mine'
    assert not (tmp_path / 'a.encoder.onnx').exists()
