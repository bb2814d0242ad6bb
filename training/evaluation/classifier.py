"""The classifier of digits: trained once for a data set, then asked about pictures."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mxnet import Context, autograd, gluon, init, nd, random
from mxnet.gluon.loss import SoftmaxCrossEntropyLoss

from training.steps import rng
from training.storage import parameters

EPOCHS, BATCH, LR = 4, 128, 1e-3
AT_ONCE = 500  # images
VERSION = 1    # of the net and how it is trained


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier of images as bytes, (n, h, w, c) uint8."""
    net: gluon.Block
    ctx: Context

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features (n, f) float32 of its last hidden layer, and classes (n,)."""
        parts = []
        for part in np.split(pixels, range(AT_ONCE, len(pixels), AT_ONCE)):
            x = nd.array(part.transpose(0, 3, 1, 2) / np.float32(255), self.ctx)
            features, logits = self.net(x)
            parts.append((features.asnumpy(), logits.argmax(axis=1).asnumpy().astype(int)))
        features, classes = zip(*parts, strict=True)
        return np.concatenate(features), np.concatenate(classes)


def file_name(sha256: str) -> str:
    """Return the name of the file that keeps the parameters for data of that checksum."""
    return f'classifier-{VERSION}-{sha256[:16]}.params'


def fit(net, images, labels: np.ndarray, ctx: Context, path: Path) -> TrainedClassifier:
    """Return the net, trained on images (indexed, floats in [0, 1]) and labels (n,).

    It is read from path, or trained from a fixed seed and written there.
    """
    net.hybridize(static_alloc=True)
    if path.exists():
        parameters.load(net, path, ctx)
        return TrainedClassifier(net, ctx)
    random.seed(0)
    net.initialize(init.Xavier(), ctx=ctx)
    trainer = gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': LR})
    loss_of = SoftmaxCrossEntropyLoss()
    for epoch in range(EPOCHS):
        order = rng.order(0, epoch, len(labels))
        for indices in np.split(order, range(BATCH, len(order), BATCH)):
            x, y = nd.array(images[indices], ctx), nd.array(labels[indices], ctx)
            with autograd.record():
                loss = loss_of(net(x)[1], y)
            loss.backward()
            trainer.step(len(indices))
        trainer.set_learning_rate(LR * 0.3 ** (epoch + 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    parameters.save(net, path)
    return TrainedClassifier(net, ctx)
