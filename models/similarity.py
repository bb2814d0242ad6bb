"""A discriminator's layers by name, and the features that one of them gives."""
from mxnet.gluon import HybridBlock, nn

from models.layers import Dropout, Linear, MinibatchDiscrimination

KINDS = {nn.BatchNorm: 'norm', nn.LeakyReLU: 'act', nn.Activation: 'act', Dropout: 'dropout',
         nn.Flatten: 'flatten', MinibatchDiscrimination: 'minibatch', Linear: 'input',
         nn.MaxPool2D: 'pool', nn.GlobalAvgPool2D: 'pool'}


def layer_names(disc: nn.HybridSequential) -> list[str]:
    """Return the names of a discriminator's layers: conv1, norm1, act1, conv2 .. logit.

    The number is that of the layer with weights that stands before.
    """
    names, n = [], 0
    for block in disc:
        if type(block) not in KINDS:
            n += 1
        kind = KINDS.get(type(block)) or {nn.Conv2D: 'conv', nn.Dense: 'dense'}.get(
            type(block), 'block')
        names.append(f'{kind}{n}')
    return [*names[:-1], 'logit']


class Similarity(HybridBlock):
    """A discriminator that also gives the features in which images are compared.

    images (b, c, h, w) -> features (b, ...), logits (b, 1). Shares the discriminator's layers.
    """

    def __init__(self, disc: nn.HybridSequential, layer: str):
        """layer: one of `layer_names`. ValueError if there is no such layer."""
        super().__init__()
        names = layer_names(disc)
        if layer not in names:
            raise ValueError(f'expected one of {", ".join(names)}')
        n = names.index(layer) + 1
        self.before, self.after = disc[:n], list(disc)[n:]
        for i, block in enumerate(self.after):
            self.register_child(block, f'after{i}')

    def hybrid_forward(self, F, x):
        features = logit = self.before(x)
        for block in self.after:
            logit = block(logit)
        return features, logit
