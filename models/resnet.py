"""ResNet-18 (He et al., 2016) with one logit, as discriminator."""
from mxnet.gluon import HybridBlock, nn

BASE_CHANNELS = 64


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
        x = self.body(x) + (self.skip(x) if self.skip else x)
        return F.Activation(x, act_type='relu')  # oneDNN's; F.relu copies into another layout


def resnet(shape: tuple[int, int, int], *,
           base_channels: int = BASE_CHANNELS) -> nn.HybridSequential:
    """Return a ResNet-18: images (b, channels, h, w) -> logits (b, 1).

    Its four stages have c, 2c, 4c and 8c channels, c the `base_channels`.
    """
    net = nn.HybridSequential()
    net.add(nn.Conv2D(base_channels, 7, 2, 3), nn.BatchNorm(), nn.Activation('relu'),
            nn.MaxPool2D(3, 2, 1))                                      # (b, c, h/4, w/4)
    for stage in range(4):                                              # h/4, h/8, h/16, h/32
        channels = base_channels * 2 ** stage
        net.add(Residual(channels, strided=stage > 0), Residual(channels, strided=False))
    net.add(nn.GlobalAvgPool2D(), nn.Dense(1))                          # (b, 1)
    return net
