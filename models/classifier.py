"""Small classifiers, whose features measure what VAEs generate."""
from mxnet.gluon import HybridBlock, nn

from models.layers import Linear

N_CLASSES = 10
N_ROTATIONS = 4
N_FEATURES = 128


class Classifier(HybridBlock):
    """LeNet's layout (LeCun et al., 1998) with today's parts.

    Images (b, 1, 28, 28) in [0, 1] -> features (b, 128), logits (b, 10).
    """

    def __init__(self):
        super().__init__()
        self.features = net = nn.HybridSequential()
        net.add(nn.Conv2D(16, 3, activation='relu'), nn.MaxPool2D(),    # (b, 16, 13, 13)
                nn.Conv2D(32, 3, activation='relu'), nn.MaxPool2D(),    # (b, 32, 5, 5)
                nn.Dense(N_FEATURES, activation='relu'))                # (b, 128)
        self.logits = nn.Dense(N_CLASSES)

    def hybrid_forward(self, F, x):
        features = self.features(x)
        return features, self.logits(features)


class RotationClassifier(HybridBlock):
    """Tells by how many quarter turns a picture is rotated, which takes no labels to learn.

    Images (b, 3, 64, 64) in [0, 1] -> features (b, 128), logits (b, 4). The task is that of
    S. Gidaris, P. Singh, N. Komodakis: Unsupervised representation learning by predicting image
    rotations. 2018. arXiv:1803.07728.
    """

    def __init__(self):
        super().__init__()
        self.features = net = nn.HybridSequential()
        net.add(Linear(2, -1),
                nn.Conv2D(32, 4, 2, 1, activation='relu'),              # (b, 32, 32, 32)
                nn.Conv2D(64, 4, 2, 1, activation='relu'),              # (b, 64, 16, 16)
                nn.Conv2D(N_FEATURES, 4, 2, 1, activation='relu'),      # (b, 128, 8, 8)
                nn.Conv2D(N_FEATURES, 3, 1, 1, activation='relu'),      # (b, 128, 8, 8)
                nn.GlobalAvgPool2D(), nn.Flatten())                     # (b, 128)
        self.logits = nn.Dense(N_ROTATIONS)

    def hybrid_forward(self, F, x):
        features = self.features(x)
        return features, self.logits(features)
