"""Nets: sizes, shapes, and gradients that reach everything."""
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mxnet import autograd, cpu, nd, random
from mxnet.gluon import nn
from PIL import ImageFile

import models
from tests.processes import python
from training.commands.wiring import build_nets
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.steps.networks import Networks, make_networks

MNIST, FACES = (1, 28, 28), (3, 64, 64)


def shrunk(row: Row) -> Row:
    """The row's nets, a few channels and nodes wide."""
    small = {'n_latent': 3, 'n_hnodes': 6, 'vae_base_channels': 2, 'disc_hnodes': 4,
             'disc_base_channels': 2}
    return replace(row, **{k: v for k, v in small.items() if getattr(row, k) is not None})


def shape_of(row: Row) -> tuple[int, int, int]:
    return MNIST if row.data == 'MNIST' else FACES


def networks_of(row: Row, shape: tuple[int, int, int] | None = None) -> Networks:
    """The row's nets on the CPU, initialised, and their optimizers."""
    shape = shape or shape_of(row)
    vae, disc, feature_disc = build_nets(row, shape)
    return make_networks(row, vae, disc, shape, cpu(), feature_disc=feature_disc)


def vae_inputs(row: Row, batch: int) -> list:
    rng = np.random.default_rng(0)
    x = nd.array(rng.random((batch, *shape_of(row)), np.float32))
    eps = nd.array(rng.standard_normal((batch, row.n_latent), np.float32))
    return [x, eps] if row.encodes else [eps]


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
REPAIRED = {'encoder': 'strided', 'latent_head': 'linear'}


@pytest.mark.parametrize('name, changes, of_vae, of_disc', [
    ('DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', {}, (1_276_394, 0), (157_201, 0)),
    ('DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded', {}, (35_150_848, 0),
     (12_584_961, 0)),
    (CONV_DISC + '256_16_16_200_10', {}, (55_823_936, 1_600), (46_017, 192)),
    (CONV_DISC + '512_32_32_200_10_seeded', {}, (223_288_448, 3_200), (173_953, 384)),
    (CONV_DISC + '512_32_32_200_10_seeded', REPAIRED, (7_673_728, 1_920), (173_953, 384)),
    (CONV_DISC + '1024_32_64_200_10_1', {}, (445_851_776, 5_248), (675_585, 768)),
    (DEEP, {}, (452_112_960, 6_208), (2_765_569, 1_792)),
    (CONV_1024, {}, (445_851_776, 5_248), (11_180_033, 7_808)),
    (CONV_1024, {'disc_base_channels': 16}, (445_851_776, 5_248), (702_977, 1_952)),
    ('VAEGAN_on_MNIST/B_20_50', {}, (5_868_344, 0), (1_460_225, 0)),
    # as the layers of system A's diagrams add up
    ('VAEGAN_on_MNIST/A_64_100', {}, (8_419_585, 13_696), (3_413_441, 2_304)),
    ('VAEGAN_on_adult/A_2048_100_lr1', {}, (61_780_995, 62_080), (27_852_225, 2_304)),
])
def test_full_size_nets_have_the_published_numbers_of_parameters(name, changes, of_vae, of_disc):
    row = replace(EXPERIMENTS[name], **changes)
    shape = shape_of(row)
    assert count(models.build_vae(row, shape), *vae_inputs(row, 1)) == of_vae
    assert count(models.build_discriminator(row, shape), nd.zeros((1, *shape))) == of_disc


def test_nets_of_the_readme_are_built_without_a_row():
    code, = re.findall(r'```python\n(.*?)```', Path(models.__file__).with_name('README.md')
                       .read_text(), re.DOTALL)
    exec(code, nets := {})
    assert count(nets['vae'], nd.zeros((1, *MNIST)), nd.zeros((1, 5))) == (1_276_394, 0)
    assert count(nets['disc'], nd.zeros((1, *FACES))) == (173_953, 384)


def biases_before_norms(block) -> set[str]:
    """Names of biases that a BatchNorm behind takes away again: their true gradient is 0."""
    children = [*block._children.values()]
    found = {layer.bias.name for layer, after in pairwise(children)
             if isinstance(after, nn.BatchNorm) and getattr(layer, 'bias', None) is not None}
    return found.union(*map(biases_before_norms, children))


def assert_sum_reaches_everything(net, *inputs) -> None:
    random.seed(0)
    net.initialize()
    net(*inputs)
    trained = {name: p for name, p in net.collect_params().items() if p.grad_req != 'null'}
    for parameter in trained.values():
        parameter.grad()[:] = np.nan
    with autograd.record():
        outputs = net(*inputs)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        loss = sum((output ** 2).sum() for output in outputs)
    loss.backward()
    gradients = {name: np.abs(p.grad().asnumpy()).max() for name, p in trained.items()}
    without_effect, largest = biases_before_norms(net), max(gradients.values())
    for name, gradient in gradients.items():
        assert np.isfinite(gradient), name
        assert gradient < 1e-3 * largest if name in without_effect else gradient > 0, name


SMALL_VAES = {  # each VAE once
    (row.vae, row.data, *(getattr(row, field) for field in models.VAES[row.vae].fields)): row
    for row in map(shrunk, EXPERIMENTS.values())}


@pytest.mark.parametrize('row', SMALL_VAES.values(), ids=lambda row: row.name)
def test_vae_of_every_row_has_the_right_shapes_and_gradients(row):
    vae, inputs = models.build_vae(row, shape_of(row)), vae_inputs(row, 4)
    assert_sum_reaches_everything(vae, *inputs)
    x_hat, *code = vae(*inputs) if row.encodes else [vae(*inputs)]
    assert x_hat.shape == (4, *shape_of(row))
    assert [part.shape for part in code] == [(4, row.n_latent)] * 2 * row.encodes


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
    # GluonCV has Pillow fill up images that are cut off: they are refused all the same
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize('disc, message', [
    ('ResNext', f'expected one of {", ".join(models.DISCRIMINATORS)}, gluoncv:'),
    ('gluoncv:resnet81', 'not a classification net'),
    ('gluoncv:ssd_512_resnet50_v1_voc', 'not a classification net'),
    ('ConvDisc', 'needs a value for disc_base_channels'),
])
def test_unknown_or_incomplete_discriminator_is_refused(disc, message):
    with pytest.raises(models.ModelError, match=message):
        models.build_discriminator(replace(EXPERIMENTS[CONV_1024], disc=disc))


def test_gluoncv_net_for_larger_images_is_refused_without_further_words(capfd):
    row = replace(EXPERIMENTS[CONV_1024], disc='gluoncv:inceptionv3')
    disc = models.build_discriminator(row)
    capfd.readouterr()
    with pytest.raises(models.ModelError, match='does not take images'):
        models.check_discriminator(disc, row.disc, FACES)
    assert capfd.readouterr() == ('', '')


def test_everything_but_gluoncv_works_without_it_and_without_opencv():
    """And what needs it is one clear line."""
    done = python('-c', '''
import sys
sys.modules["cv2"] = sys.modules["gluoncv"] = None
import models, data
from dataclasses import replace
from training import __main__
from training.experiments import registry
row = registry.get("DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50")
models.build_vae(row, (1, 28, 28)), models.build_discriminator(row)
print("built")
try: models.build_discriminator(replace(row, disc="gluoncv:resnet18_v1"))
except models.ModelError as error: print(error)
''')
    built, refused = done.stdout.splitlines()
    assert built == 'built' and 'libGL' in refused, done.stderr


@pytest.mark.parametrize('importing, are_kept', [
    ('import models', True),
    ('from training.commands.wiring import set_up_process\nset_up_process()', False)],
    ids=['nets', 'training'])
def test_training_alone_flushes_denormals_to_zero(importing, are_kept):
    done = python('-c', importing + '''
from mxnet import nd
import numpy as np
print((nd.ones(8) * 1e-30 * 1e-10).max().asscalar() > 0,
      np.float32(1e-30) * np.float32(1e-10) > 0)
''')
    assert done.stdout == f'{are_kept} {are_kept}\n', done.stderr
