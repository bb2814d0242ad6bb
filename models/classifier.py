"""A small classifier of digits, to measure what VAEs generate."""
from mxnet.gluon import HybridBlock, nn

N_CLASSES = 10
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
