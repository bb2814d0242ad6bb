"""The same nets and steps in PyTorch: eager or under torch.compile, Adam fused.

As a user of PyTorch writes them; the images for the discriminator's step come from a pass
without a graph.
"""
import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.benchmarks import contenders
from training.experiments.registry import Experiment

LOG_FLOOR = 1e-10


class VAE(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x, eps):
        mean, logvar = self.encoder(x).chunk(2, dim=1)                  # (b, z) each
        return self.decoder(mean + torch.exp(0.5 * logvar) * eps), mean, logvar


def hidden(width: int, n_layers: int, n_nodes: int) -> list[nn.Module]:
    widths = [width] + [n_nodes] * n_layers
    return [layer for i in range(n_layers)
            for layer in (nn.Linear(widths[i], widths[i + 1]), nn.ReLU())]


def dense_vae(row: Experiment, shape) -> VAE:
    pixels, nodes = math.prod(shape), row.n_hnodes
    encoder = nn.Sequential(nn.Flatten(), *hidden(pixels, row.n_hlayers, nodes),
                            nn.Linear(nodes, 2 * row.n_latent))
    decoder = nn.Sequential(*hidden(row.n_latent, row.n_hlayers, nodes),
                            nn.Linear(nodes, pixels), nn.Sigmoid(), nn.Unflatten(1, shape))
    return VAE(encoder, decoder)


def conv_vae(row: Experiment, shape, decoder_channels: int) -> VAE:
    c, z, d = row.vae_base_channels, row.n_latent, decoder_channels
    encoder = nn.Sequential(
        nn.Conv2d(3, c, 4, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
        nn.Conv2d(c, 2 * c, 4, bias=False), nn.BatchNorm2d(2 * c), nn.ReLU(),
        nn.Flatten(), nn.Linear(2 * c * 58 * 58, 2 * z), nn.BatchNorm1d(2 * z), nn.ReLU())
    layers = [nn.Unflatten(1, (z, 1, 1)), nn.ConvTranspose2d(z, 8 * d, 4, bias=False),
              nn.BatchNorm2d(8 * d), nn.ReLU()]
    for factor in (4, 2, 1):
        layers += [nn.ConvTranspose2d(2 * factor * d, factor * d, 4, 2, 1, bias=False),
                   nn.BatchNorm2d(factor * d), nn.ReLU()]
    layers += [nn.ConvTranspose2d(d, 3, 4, 2, 1, bias=False), nn.Sigmoid()]
    return VAE(encoder, nn.Sequential(*layers))


def conv_disc(channels: int, stages: int) -> nn.Sequential:
    layers, before = [], 3
    for stage in range(stages):
        now = channels * 2 ** stage
        layers.append(nn.Conv2d(before, now, 4, 2, 1, bias=False))
        if stage:
            layers.append(nn.BatchNorm2d(now))
        layers.append(nn.LeakyReLU(0.2))
        before = now
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * (64 >> stages) ** 2, 1))


class Residual(nn.Module):
    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, 1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels))
        self.skip = nn.Conv2d(before, channels, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet(c: int) -> nn.Sequential:
    layers = [nn.Conv2d(3, c, 7, 2, 3), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = c
    for channels in (c, 2 * c, 4 * c, 8 * c):
        layers += [Residual(before, channels, 1 if channels == before else 2),
                   Residual(channels, channels, 1)]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * c, 1))


def nets(row: Experiment, shape) -> tuple[nn.Module, nn.Module]:
    c = row.disc_base_channels
    vae = {'DenseVAE': lambda: dense_vae(row, shape),
           'ConvVAE': lambda: conv_vae(row, shape, row.vae_base_channels),
           'DeepConvVAE': lambda: conv_vae(row, shape, 64)}[row.vae]()
    disc = {'DenseLogReg': lambda: nn.Sequential(
                nn.Flatten(), *hidden(math.prod(shape), row.disc_hlayers, row.disc_hnodes),
                nn.Linear(row.disc_hnodes, 1)),
            'ConvDisc': lambda: conv_disc(c, 3), 'DeepConvDisc': lambda: conv_disc(c, 4),
            'ResNet': lambda: resnet(c or 64)}[row.disc]()
    return vae, disc


def pixel_terms(x, x_hat, mean, logvar):
    kl = -0.5 * (1 + logvar - mean ** 2 - torch.exp(logvar)).sum(1)
    bce = -(x * torch.log(x_hat + LOG_FLOOR)
            + (1 - x) * torch.log(1 - x_hat + LOG_FLOOR)).sum((1, 2, 3))
    return kl.mean(), bce.mean()


def against(logit, value: float):
    return binary_cross_entropy_with_logits(logit, torch.full_like(logit, value))


def make(row: Experiment, kind: str, images, *options):
    torch.set_num_threads(2)
    torch.manual_seed(0)
    x = torch.from_numpy(images)
    vae, disc = nets(row, tuple(images.shape[1:]))
    n_parameters = sum(p.numel() for net in (vae, disc) for p in net.parameters())
    on_vae = torch.optim.Adam(vae.parameters(), row.lr, fused=True)
    on_disc = torch.optim.Adam(disc.parameters(), row.lr, fused=True)
    if 'compile' in options:
        vae, disc = torch.compile(vae), torch.compile(disc)
    terms = torch.compile(pixel_terms) if 'compile' in options else pixel_terms
    player = SimpleNamespace(vae=vae, disc=disc, on_vae=on_vae, on_disc=on_disc, x=x, row=row,
                             terms=terms, n_latent=row.n_latent)
    step = {'solo': solo, 'published': published, 'shared': shared}[kind]
    return lambda: step(player), lambda: n_parameters


def noise(p):
    return torch.randn(len(p.x), p.n_latent)


def update(optimizer, loss) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def solo(p) -> None:
    kl, pixel = p.terms(p.x, *p.vae(p.x, noise(p)))
    update(p.on_vae, kl + pixel)


def update_disc(p, fakes) -> None:
    update(p.on_disc, against(p.disc(p.x), 1.0) + against(p.disc(fakes), 0.0))


def published(p) -> None:
    with torch.no_grad():
        fakes = p.vae(p.x, noise(p))[0]
    update_disc(p, fakes)
    fooled = against(p.disc(p.vae(p.x, noise(p))[0]), 1.0)
    kl, pixel = p.terms(p.x, *p.vae(p.x, noise(p)))
    update(p.on_vae, kl + p.row.pbp_weight * pixel + p.row.disc_weight * fooled)


def shared(p) -> None:
    x_hat, mean, logvar = p.vae(p.x, noise(p))
    update_disc(p, x_hat.detach())
    kl, pixel = p.terms(p.x, x_hat, mean, logvar)
    fooled = against(p.disc(x_hat), 1.0)
    update(p.on_vae, kl + p.row.pbp_weight * pixel + p.row.disc_weight * fooled)


if __name__ == '__main__':
    contenders.main(make)
