"""`training.open_run` and what it gives: from a notebook, by a script, beside the commands."""
import ast
import json
import re
import shutil
import sys
from types import SimpleNamespace

import mxnet
import numpy as np
import pytest

import training
from data import DataError
from tests.processes import ROOT, python
from training.evaluation import metrics
from training.evaluation.trained_net import NoEncoderError, ShapeError
from training.experiments.row import ExperimentError
from training.run.progress_bar import ProgressBar
from training.runtime.device import DeviceError
from training.storage.parameters import ParamsError

IMAGES = ROOT / 'results' / 'images'
PICTURES = [str(IMAGES / 'MNIST_test_images' / f'{i}.png') for i in range(10)]
DIGITS = 'DenseVAE_on_MNIST/5_3_400_bce_50'  # its parameters are in git
FACES = ('ConvVAE_ResNet_on_anime/256_16_16_10_shared_n_latent-64_vae_base_channels-8_'
         'disc_base_channels-16')            # of these two the decoders are
GAN = ('ConvDecoder_ResNet_on_anime/512_32_16_n_latent-128_vae_base_channels-16_'
       'disc_base_channels-16')
README, = re.findall(r'```python\n(import training\n.*?)```', (ROOT / 'README.md').read_text(),
                     re.DOTALL)


@pytest.fixture(scope='module')
def net():
    return training.open_run(DIGITS)


@pytest.fixture(scope='module')
def digits(net) -> np.ndarray:
    return net.read(*PICTURES)


def test_lines_of_the_readme_do_what_they_say(net, tmp_path):
    """In a process that is not set up for speed, and with the same numbers."""
    done = python('-c', f'{README}\nimport sys\nimport numpy as np\n'
                        'np.savez(sys.argv[1], samples=samples, digits=digits, mean=mean, '
                        'logvar=logvar, way=way)', str(tmp_path / 'made.npz'))
    assert done.returncode == 0 and done.stderr == '', done.stderr
    row, measured = done.stdout.splitlines()
    assert row == str(net.row)
    made = np.load(tmp_path / 'made.npz')
    shapes = re.findall(r'(\w+) = .*# \((\d.*?)\)', README)
    assert [name for name, _ in shapes] == ['samples', 'logvar', 'way']
    for name, shape in shapes:
        assert str(made[name].shape) == f'({shape})'
    assert made['samples'].dtype == made['way'].dtype == np.uint8
    assert (made['samples'] == net.sample(16, seed=1)).all()
    assert (made['mean'] == net.encode(made['digits'])[0]).all()
    assert (made['way'] == net.interpolate(made['digits'], 9)).all()
    measured = ast.literal_eval(measured)
    assert measured == net.measure(made['digits'])
    for name, value in re.findall(r"'(\w+)': ([\d.]+)", README):
        assert f'{measured[name]:.{len(value.partition(".")[2])}f}' == value


def test_importing_changes_nothing_of_a_notebook():
    done = python('-c', '''
import os, signal, sys
import matplotlib

def state():
    handlers = {name: signal.getsignal(name) for name in signal.valid_signals()}
    return dict(os.environ), handlers, matplotlib.get_backend(), sys.excepthook, os.getcwd()

before = state()
import training
import training.commands.runs, training.commands.wiring, training.__main__
assert "mxnet" not in sys.modules
training.open_run(sys.argv[1]).sample(1)
import training.run.train, training.reporting.study_charts, training.steps.solo_combo
assert state() == before
''', DIGITS, MPLBACKEND='svg')
    assert done.returncode == 0, done.stderr


def test_python_without_mxnet_is_an_import_error():
    done = python('-c', 'import sys\nsys.modules["mxnet"] = None\nimport training\n'
                        'training.open_run(sys.argv[1])', DIGITS)
    line = done.stderr.splitlines()[-1]
    assert line.startswith('ImportError: MXNet cannot be imported') and 'pip install' in line


def test_commands_give_the_same(cli, net, digits, tmp_path):
    for words in (['encode', DIGITS, *PICTURES, '--out', f'{tmp_path}/z.npz'],
                  ['reconstruct', DIGITS, *PICTURES, '--out', f'{tmp_path}/drawn'],
                  ['sample', DIGITS, '--n', '3', '--seed', '2', '--out', f'{tmp_path}/s']):
        assert cli(words)[0] == 0
    codes, encoded = np.load(tmp_path / 'z.npz'), net.encode(digits)
    assert all((codes[name] == part).all()
               for name, part in zip(('mean', 'logvar'), encoded, strict=True))
    drawn = net.read(tmp_path / 'drawn' / '0003_3.png', tmp_path / 's' / '0002.png')
    assert (drawn[0] == net.reconstruct(digits)[0][3]).all()
    assert (drawn[1] == net.sample(3, seed=2)[2]).all()


def test_a_run_is_named_by_its_folder_too_and_by_its_root(net, tmp_path, monkeypatch):
    """And has the same folder when the notebook goes to another; what it lacks is named."""
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(IMAGES / DIGITS, tmp_path / DIGITS)
    for opened in (training.open_run(folder), training.open_run(DIGITS, '.'),
                   training.open_run(str(folder), ctx='auto'),
                   training.open_run(DIGITS, '~', ctx=mxnet.cpu())):
        assert opened.folder == folder and opened.row == net.row
        assert (opened.sample(2) == net.sample(2)).all()
    (folder / 'vae.params').unlink()
    with pytest.raises(ParamsError, match='vae.params: not there .* make them with: python -m'):
        training.open_run(folder)


@pytest.mark.parametrize('stream', [None, SimpleNamespace(write=len, flush=int)],
                         ids=['none', "a notebook's"])
def test_stderr_may_be_any(net, monkeypatch, stream):
    monkeypatch.setattr(sys, 'stderr', stream)
    assert len(net.read(IMAGES / 'MNIST_test_images')) > 10 and len(net.sample(70)) == 70
    ProgressBar(1)


def test_nets_open_where_no_kernel_can_be_kept():
    """As in a container of another user's."""
    done = python('-c', 'import sys\nimport numba.core.caching as caching\n'
                        'caching.CacheImpl._locator_classes = []\nimport training\n'
                        'print(training.open_run(sys.argv[1]).sample(1).shape)', DIGITS)
    assert done.stdout == '(1, 28, 28, 1)\n', done.stderr


def test_measures_are_of_the_pictures_that_are_given(net, digits):
    measured = net.measure(digits, seed=None)
    drawn, mean, logvar = net.reconstruct(digits, seed=None)
    assert (net.decode(mean) == drawn).all()
    error = ((drawn / 255 - digits / 255) ** 2).mean()
    assert measured['mean_squared_error'] == pytest.approx(error, abs=1e-7)
    assert measured['kl'] == pytest.approx(metrics.kl_per_latent(mean, logvar).sum(), rel=1e-5)
    assert measured['sharpness'] == pytest.approx(
        metrics.edge_sharpness(drawn / 255) / metrics.edge_sharpness(digits / 255))
    assert {'psnr', 'ssim', 'noise', 'active_latents', 'sample_sharpness'} < measured.keys()
    assert not [name for name in measured if name.startswith(('frechet', 'accuracy'))]
    assert net.measure([*digits[:1]])['psnr'] != net.measure(digits[1:2])['psnr']
    json.dumps(measured)


@pytest.mark.parametrize('run, message', [(FACES, 'vae.params: not there'),
                                          (GAN, 'a plain GAN has no encoder')])
def test_decoder_alone_draws_and_says_why_it_does_not_encode(run, message):
    net = training.open_run(run)
    faces = net.sample(2, seed=5)
    assert faces.shape == (2, 64, 64, 3) and (net.sample(1, seed=5) == faces[:1]).all()
    for call in (net.encode, net.reconstruct, net.interpolate):
        with pytest.raises(NoEncoderError, match=message):
            call(faces)
    measured = net.measure(faces)
    assert ('sharpness' in measured) == (run == GAN)  # what a strip of it shows
    assert {'sample_sharpness', 'diversity'} <= measured.keys() and 'psnr' not in measured


@pytest.mark.parametrize('call, error, message', [
    (lambda net: training.open_run('DenseVAE_on_MNIST/gone'), ExperimentError,
     f'{IMAGES}: no finished run .DenseVAE_on_MNIST/gone. there'),
    (lambda net: training.open_run(DIGITS, '/nowhere'), ExperimentError,
     f'/nowhere/{DIGITS}: no finished run there'),
    (lambda net: training.open_run(DIGITS, ctx='tpu'), DeviceError, 'expected auto, cpu, gpu'),
    (lambda net: net.read('gone.png'), DataError, 'gone.png: no such file'),
    (lambda net: net.encode(np.zeros((2, 28, 28, 1))), ShapeError, 'float64: expected'),
    (lambda net: net.encode(np.zeros((2, 27, 28, 1), np.uint8)), ShapeError,
     r'pictures \(2, 27, 28, 1\) uint8: expected \(n, 28, 28, 1\) uint8'),
    (lambda net: net.measure(np.zeros((0, 28, 28, 1), np.uint8)), ShapeError, 'n 1 or more'),
    (lambda net: net.interpolate(np.zeros((3, 28, 28, 1), np.uint8)), ShapeError,
     'expected 2 pictures, found 3'),
    (lambda net: net.decode(np.zeros((4, 6))), ShapeError, r'expected \(n, 5\)'),
    (lambda net: net.decode(np.full((1, 5), np.nan)), ShapeError, 'all finite'),
    (lambda net: net.sample(0), ShapeError, 'n 1 or more'),
    *((call, ShapeError, 'opened without its data, and so without images') for call in (
        lambda net: net.validation_pictures(), lambda net: net.codes(3),
        lambda net: net.draw_again(), lambda net: net.kl_per_latent())),
])
def test_mistake_is_an_exception_of_one_line(net, call, error, message):
    with pytest.raises(error, match=message) as raised:
        call(net)
    assert isinstance(raised.value, ValueError) and '\n' not in str(raised.value)


def test_only_commands_take_what_was_parsed_and_write_nothing_into_it():
    """All other functions have parameters of their own, and can be called from Python."""
    taking = [(path, one) for path in (ROOT / 'training').rglob('*.py')
              for one in ast.walk(ast.parse(path.read_text()))
              if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
              and re.search(r'\bargs\b|Namespace', ast.unparse(one.args))]
    assert len(taking) >= 15
    for path, one in taking:
        assert path.parent.name == 'commands' and one.name.endswith('_command'), path
        written = [ast.unparse(node) for node in ast.walk(one)
                   if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
        assert not [name for name in written if name.startswith('args.')], path
