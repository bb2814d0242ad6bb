"""Classifiers, each trained once for a data set, then asked about pictures.

That of digits tells their labels. That of faces, which have none, tells how training faces were
rotated.
"""
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mxnet import Context, autograd, gluon, init, nd, random
from mxnet.gluon.loss import SoftmaxCrossEntropyLoss

from training.steps import rng
from training.storage import parameters

EPOCHS, BATCH, LR = 4, 128, 1e-3
ROUNDS, UPDATES = 3, 144  # of batches of rotated faces: so many updates in each round
AT_ONCE = 500  # images
VERSION = 1    # of the nets and how they are trained


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


def file_name(net, sha256: str) -> str:
    """Return the name of the file that keeps a net's parameters for data of that checksum."""
    return f'{type(net).__name__.lower()}-{VERSION}-{sha256[:16]}.params'


def labelled(images, labels: np.ndarray) -> Iterator[Iterator[tuple]]:
    """Yield epochs of batches, images (b, c, h, w) and labels (b,); images: indexed, in [0, 1]."""
    for epoch in range(EPOCHS):
        order = rng.order(0, epoch, len(labels))
        yield ((images[indices], labels[indices])
               for indices in np.split(order, range(BATCH, len(order), BATCH)))


def rotated(images) -> Iterator[Iterator[tuple]]:
    """Yield rounds of batches, images (b, c, h, h) and by how many quarter turns each was turned.

    As many for few images as for many.
    """
    def batch(random) -> tuple[np.ndarray, np.ndarray]:
        turns = random.integers(0, 4, min(BATCH, len(images)))
        chosen = random.choice(len(images), len(turns), replace=False)
        return np.stack([np.rot90(x, k, (1, 2)) for x, k in
                         zip(images[chosen], turns, strict=True)]), turns

    for r in range(ROUNDS):
        random = np.random.default_rng(r)
        yield (batch(random) for _ in range(UPDATES))


def fit(net, rounds: Iterator[Iterator[tuple]], ctx: Context,
        path: Path | None) -> TrainedClassifier:
    """Return the net, trained on rounds of batches of images and classes, (b, c, h, w) and (b,).

    It is read from path, or trained from a fixed seed and written there; none: not kept.
    """
    net.hybridize(static_alloc=True)
    if path and path.exists():
        parameters.load(net, path, ctx)
        return TrainedClassifier(net, ctx)
    random.seed(0)
    net.initialize(init.Xavier(), ctx=ctx)
    trainer = gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': LR})
    loss_of = SoftmaxCrossEntropyLoss()
    for i, batches in enumerate(rounds):
        for x, y in batches:
            with autograd.record():
                loss = loss_of(net(nd.array(x, ctx))[1], nd.array(y, ctx))
            loss.backward()
            trainer.step(len(y))
        trainer.set_learning_rate(LR * 0.3 ** (i + 1))
    if path:
        parameters.save(net, path)
    return TrainedClassifier(net, ctx)
