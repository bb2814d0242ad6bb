"""Classification nets of GluonCV's model zoo, by name."""
from collections.abc import Iterator
from contextlib import contextmanager

from mxnet.gluon import HybridBlock
from PIL import ImageFile

from models.mxnet_import import removed_names

MODULES = frozenset(  # of gluoncv.model_zoo: those that define classification nets
    'alexnet cifarresnet cifarresnext cifarwideresnet densenet dla googlenet hrnet inception '
    'mobilenet mobilenetv3 nasnet resnest resnet resnetv1b resnext residual_attentionnet senet '
    'shufflenet squeezenet vgg xception yolo.darknet'.split())
# Nets whose number of outputs is called otherwise, or that add outputs for training
ONE_OUTPUT = {'hrnet': {'num_classes': 1}, 'nasnet': {'classes': 1, 'use_aux': False}}


@contextmanager
def _whole_images() -> Iterator[None]:
    """Let nothing within change that Pillow refuses images that are cut off, as GluonCV does."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def one_logit_net(name: str) -> HybridBlock:
    """Return the named net with one output, untrained: images (b, 3, h, w) -> (b, 1).

    ValueError where GluonCV cannot be imported, or the name is not a classification net's.
    """
    try:
        with _whole_images():
            from gluoncv.model_zoo import model_zoo
    except ImportError as error:
        raise ValueError(f'GluonCV cannot be imported ({error}); its OpenCV needs the system '
                         "library libGL.so.1, Debian's package libgl1") from None
    modules = {known: builder.__module__.removeprefix('gluoncv.model_zoo.')
               for known, builder in model_zoo._models.items()}
    known = sorted(n for n, module in modules.items()
                   if module in MODULES and not (module == 'hrnet' and n.endswith('_s')))
    if name not in known:
        raise ValueError(f'not a classification net of GluonCV; known: {", ".join(known)}')
    arguments = ONE_OUTPUT.get(modules[name], {'classes': 1})
    with removed_names():
        return model_zoo.get_model(name, pretrained=False, **arguments)
