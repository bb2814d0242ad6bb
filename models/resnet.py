"""ResNet-18 (He et al., 2016) with one logit, as discriminator."""
from mxnet.gluon import HybridBlock, nn

STAGES = (64, 128, 256, 512)  # channels of each stage of two blocks


class Residual(HybridBlock):
    """Two 3x3 convolutions beside a skip; a strided block's skip is a 1x1 convolution."""

    def __init__(self, channels: int, strided: bool):
        super().__init__()
        stride = 2 if strided else 1
        self.body = nn.HybridSequential()
        self.body.add(nn.Conv2D(channels, 3, stride, 1), nn.BatchNorm(), nn.Activation('relu'),
                      nn.Conv2D(channels, 3, 1, 1), nn.BatchNorm())
        self.skip = nn.Conv2D(channels, 1, stride) if strided else None

    def hybrid_forward(self, F, x):
        return F.relu(self.body(x) + (self.skip(x) if self.skip else x))


def resnet() -> nn.HybridSequential:
    """Images (b, c, h, w) -> logits (b, 1)."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(STAGES[0], 7, 2, 3), nn.BatchNorm(), nn.Activation('relu'),
            nn.MaxPool2D(3, 2, 1))                                      # (b, 64, h/4, w/4)
    for i, channels in enumerate(STAGES):                               # h/4, h/8, h/16, h/32
        net.add(Residual(channels, strided=i > 0), Residual(channels, strided=False))
    net.add(nn.GlobalAvgPool2D(), nn.Dense(1))                          # (b, 1)
    return net
