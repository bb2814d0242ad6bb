"""Nets: sizes, shapes, and gradients that reach everything."""
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mxnet import autograd, nd, random
from mxnet.gluon import nn

import models
from training.experiments.registry import EXPERIMENTS, Experiment

MNIST, FACES = (1, 28, 28), (3, 64, 64)


def experiment(**fields) -> Experiment:
    return Experiment(**{'name': '', 'data': 'anime', 'vae': 'DenseVAE', 'n_latent': 5,
                         'n_hlayers': 1, 'n_hnodes': 8, 'solo_epochs': 1} | fields)


def shrunk(row: Experiment) -> Experiment:
    """The row's nets, a few channels and nodes wide."""
    small = {'n_latent': 3, 'n_hnodes': 6, 'vae_base_channels': 2, 'disc_hnodes': 4,
             'disc_base_channels': 2}
    return replace(row, **{k: v for k, v in small.items() if getattr(row, k) is not None})


def shape_of(row: Experiment) -> tuple[int, int, int]:
    return MNIST if row.data == 'MNIST' else FACES


def vae_inputs(row: Experiment, batch: int) -> list:
    rng = np.random.default_rng(0)
    x = nd.array(rng.random((batch, *shape_of(row)), np.float32))
    eps = nd.array(rng.standard_normal((batch, row.n_latent), np.float32))
    return [eps] if row.vae == 'ConvDecoder' else [x, eps]


def count(net, *inputs) -> tuple[int, int]:
    """Trainable parameters and running statistics; nothing is allocated."""
    net.infer_shape(*inputs)
    sizes = {True: 0, False: 0}
    for parameter in net.collect_params().values():
        sizes[parameter.grad_req != 'null'] += int(np.prod(parameter.shape))
    return sizes[True], sizes[False]


CONV_512 = 'ConvVAE_on_anime/512_32_200_seeded'
CONV_1024 = 'ConvVAE_ResNet_on_anime/1024_32_200_10_1'
DEEP = 'DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4'
CONV_DISC = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/'


@pytest.mark.parametrize('name, of_vae, of_disc', [
    ('DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', (1_276_394, 0), (157_201, 0)),
    ('DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded', (35_150_848, 0),
     (12_584_961, 0)),
    (CONV_DISC + '256_16_16_200_10', (55_823_936, 1_600), (46_017, 192)),
    (CONV_DISC + '512_32_32_200_10_seeded', (223_288_448, 3_200), (173_953, 384)),
    (CONV_DISC + '1024_32_64_200_10_1', (445_851_776, 5_248), (675_585, 768)),
    (DEEP, (452_112_960, 6_208), (2_765_569, 1_792)),
    (CONV_1024, (445_851_776, 5_248), (11_180_033, 7_808)),
    ('VAEGAN_on_MNIST/B_20_50', (5_868_344, 0), (1_460_225, 0)),
    # as the layers of system A's diagrams add up
    ('VAEGAN_on_MNIST/A_64_100', (8_419_585, 13_696), (3_413_441, 2_304)),
    ('VAEGAN_on_adult/A_2048_100_lr1', (61_780_995, 62_080), (27_852_225, 2_304)),
])
def test_full_size_nets_have_the_published_numbers_of_parameters(name, of_vae, of_disc):
    row, shape = EXPERIMENTS[name], shape_of(EXPERIMENTS[name])
    assert count(models.build_vae(row, shape), *vae_inputs(row, 1)) == of_vae
    assert count(models.build_discriminator(row, shape), nd.zeros((1, *shape))) == of_disc


def resnet_parameters(c: int) -> tuple[int, int]:
    """Parameters and running statistics of a ResNet-18 of RGB images with c base channels."""
    trained, n_normalised = 3 * 49 * c + c + 2 * c, c  # 7 x 7 kernels, biases, BatchNorm
    before = c
    for width in (c, 2 * c, 4 * c, 8 * c):
        convolutions = [(before, width), (width, width), (width, width), (width, width)]
        trained += sum(9 * i * o + o + 2 * o for i, o in convolutions)
        trained += before * width + width if width != before else 0  # the skip
        n_normalised += 4 * width
        before = width
    return trained + 8 * c + 1, 2 * n_normalised


@pytest.mark.parametrize('width, c', [(None, 64), (64, 64), (16, 16), (3, 3)])
def test_resnet_is_as_wide_as_the_row_says(width, c):
    row = replace(EXPERIMENTS[CONV_1024], disc_base_channels=width)
    assert count(models.build_discriminator(row), nd.zeros((1, *FACES))) == resnet_parameters(c)


def test_nets_of_the_readme_are_built_without_a_row():
    code, = re.findall(r'```python\n(.*?)```', Path(models.__file__).with_name('README.md')
                       .read_text(), re.DOTALL)
    exec(code, nets := {})
    assert count(nets['vae'], nd.zeros((1, *MNIST)), nd.zeros((1, 5))) == (1_276_394, 0)
    assert count(nets['disc'], nd.zeros((1, *FACES))) == (173_953, 384)


def poison(net) -> None:
    for parameter in net.collect_params().values():
        if parameter.grad_req != 'null':
            parameter.grad()[:] = np.nan


def biases_before_norms(block) -> set[str]:
    """Names of biases that a BatchNorm behind takes away again: their true gradient is 0."""
    children = [*block._children.values()]
    found = {layer.bias.name for layer, after in pairwise(children)
             if isinstance(after, nn.BatchNorm) and getattr(layer, 'bias', None) is not None}
    return found.union(*map(biases_before_norms, children))


def assert_all_gradients_finite(net) -> None:
    without_effect, largest = biases_before_norms(net), 0.0
    for name, parameter in net.collect_params().items():
        if parameter.grad_req != 'null':
            gradient = np.abs(parameter.grad().asnumpy()).max()
            assert np.isfinite(gradient), name
            assert gradient > 0 or name in without_effect, name
            largest = max(largest, gradient)
    for name in without_effect:
        assert np.abs(net.collect_params()[name].grad().asnumpy()).max() < 1e-3 * largest, name


def assert_sum_reaches_everything(net, *inputs) -> None:
    random.seed(0)
    net.initialize()
    net(*inputs)
    poison(net)
    with autograd.record():
        outputs = net(*inputs)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        loss = sum((output ** 2).sum() for output in outputs)
    loss.backward()
    assert_all_gradients_finite(net)


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_vae_of_every_row_has_the_right_shapes_and_gradients(name):
    row = shrunk(EXPERIMENTS[name])
    vae = models.build_vae(row, shape_of(row))
    vae.initialize()
    outputs = vae(*vae_inputs(row, 2))
    x_hat = outputs if row.vae == 'ConvDecoder' else outputs[0]
    assert x_hat.shape == (2, *shape_of(row))
    least = -1 if row.vae == 'VAE_B' else 0  # its decoder ends in tanh
    assert least <= x_hat.min().asscalar() <= x_hat.max().asscalar() <= 1
    if row.vae != 'ConvDecoder':
        assert outputs[1].shape == outputs[2].shape == (2, row.n_latent)
    assert_sum_reaches_everything(models.build_vae(row, shape_of(row)), *vae_inputs(row, 4))


@pytest.mark.parametrize('name, disc', [
    *((name, EXPERIMENTS[name].disc) for name in (
        'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', CONV_DISC + '512_32_32_200_10_seeded',
        DEEP, CONV_1024)), (CONV_1024, 'gluoncv:cifar_resnet20_v1')])
def test_discriminator_gives_a_logit_an_image(name, disc):
    row = shrunk(replace(EXPERIMENTS[name], disc=disc))
    disc = models.build_discriminator(row)
    x = nd.random.uniform(shape=(3, *shape_of(row)))
    models.check_discriminator(disc, row.disc, shape_of(row))
    assert_sum_reaches_everything(disc, x)
    assert disc(x).shape == (3, 1)


@pytest.mark.parametrize('change, expected', [
    ({}, 223_288_448), ({'latent_head': 'linear'}, 223_286_400),
    ({'encoder': 'strided'}, 7_675_776),
    ({'encoder': 'strided', 'latent_head': 'linear'}, 7_673_728)])
def test_repaired_encoders_are_smaller_and_their_heads_free(change, expected):
    full = replace(EXPERIMENTS[CONV_512], **change)
    assert count(models.build_vae(full, FACES), *vae_inputs(full, 1))[0] == expected
    row = shrunk(full)
    vae = models.build_vae(row, FACES)
    assert_sum_reaches_everything(vae, *vae_inputs(row, 4))
    with autograd.train_mode():  # with each latent's own mean taken away both signs occur
        _, mean, logvar = vae(*vae_inputs(row, 16))
    lowest = min(mean.min().asscalar(), logvar.min().asscalar())
    assert lowest < 0 if row.latent_head == 'linear' else lowest == 0


@pytest.mark.parametrize('disc, message', [
    ('ResNext', f'expected one of {", ".join(models.DISCRIMINATORS)}, gluoncv:'),
    ('gluoncv:resnet81', 'not a classification net'),
    ('gluoncv:ssd_512_resnet50_v1_voc', 'not a classification net'),
    ('ConvDisc', 'needs a value for disc_base_channels'),
])
def test_unknown_or_incomplete_discriminator_is_refused(disc, message):
    with pytest.raises(models.ModelError, match=message):
        models.build_discriminator(experiment(disc=disc))


def test_gluoncv_net_for_larger_images_is_refused_without_further_words(capfd):
    disc = models.build_discriminator(experiment(disc='gluoncv:inceptionv3'))
    capfd.readouterr()
    with pytest.raises(models.ModelError, match='does not take images'):
        models.check_discriminator(disc, 'gluoncv:inceptionv3', FACES)
    assert capfd.readouterr() == ('', '')


def test_conv_vae_refuses_images_of_another_size():
    with pytest.raises(models.ModelError, match='64 x 64'):
        models.build_vae(experiment(vae='ConvVAE', vae_base_channels=2), MNIST)


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def test_images_that_are_cut_off_are_refused_with_gluoncv_too():
    """Which has Pillow fill them up."""
    code = ('import models.zoo; from PIL import ImageFile\n'
            'models.zoo.one_logit_net("resnet18_v1b"); print(ImageFile.LOAD_TRUNCATED_IMAGES)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout == 'False\n', done.stderr


@pytest.mark.parametrize('missing', ['cv2', 'gluoncv'])
def test_everything_but_gluoncv_works_without_it_and_without_opencv(missing):
    done = run_python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        'import models, data\n'
        'from training import __main__\nfrom training.experiments import registry\n'
        'row = registry.get("DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50")\n'
        'models.build_vae(row, (1, 28, 28)), models.build_discriminator(row)\n'
        'print("built")')
    assert done.stdout == 'built\n', done.stderr


def test_gluoncv_that_cannot_be_imported_is_one_clear_line():
    done = run_python(
        'import sys; sys.modules["gluoncv"] = None\n'
        'import models\n'
        'from types import SimpleNamespace\n'
        'try: models.build_discriminator(SimpleNamespace(disc="gluoncv:resnet18_v1"))\n'
        'except models.ModelError as error: print(error)')
    assert 'libGL' in done.stdout and done.stdout.count('\n') == 1, done.stderr


def test_importing_nets_changes_nothing_of_the_process():
    done = run_python(
        'import os\n'
        'before = {**os.environ}\n'
        'import models\n'
        'from mxnet import nd\n'
        'import numpy as np\n'
        'changed = {k for k, _ in {**os.environ}.items() ^ before.items()}\n'
        'assert changed <= {"LD_LIBRARY_PATH"}, changed  # by OpenCV\n'
        'assert np.float64(5e-324) > 0 and np.float32(1e-30) * np.float32(1e-10) > 0\n'
        'assert (nd.ones(8) * 1e-30 * 1e-10).max().asscalar() > 0')
    assert done.returncode == 0, done.stderr


def test_training_flushes_denormals_to_zero():
    done = run_python('from training.commands.wiring import set_up_process\n'
                      'set_up_process()\n'
                      'from mxnet import nd\n'
                      'print((nd.ones(8) * 1e-30 * 1e-10).max().asscalar())')
    assert done.stdout.strip() == '0.0', done.stderr
