"""The step of a VAE/GAN in PyTorch: eager, channels_last, or under torch.compile.

As an expert writes it: a net goes forward once for all batches that may go together, each loss is
differentiated by what it trains, and no gradient is asked for that nobody uses.
"""
import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.benchmarks import contenders
from tests.benchmarks.pytorch import hidden
from training.experiments.row import VaeGan


class Signed(nn.Module):
    """[0, 1] -> [-1, 1]."""

    def forward(self, x):
        return 2 * x - 1


class Unit(nn.Module):
    """[-1, 1] -> [0, 1]."""

    def forward(self, x):
        return 0.5 * x + 0.5


class Minibatch(nn.Module):
    """Salimans et al. (2016): beside features, how near each image is to the others."""

    def __init__(self, width: int, kernels: int, dims: int):
        super().__init__()
        self.kernels, self.matrices = kernels, nn.Linear(width, kernels * dims, bias=False)

    def forward(self, x):
        m = self.matrices(x).unflatten(1, (self.kernels, -1))           # (b, k, d)
        near = torch.exp(-(m[:, None] - m[None]).abs().sum(3)).sum(1)   # (b, k)
        return torch.cat([x, near], 1)



def heads(width: int, n_latent: int, dropout: float) -> nn.Module:
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleList([nn.Sequential(*linear_b(width, n_latent, dropout))
                                        for _ in range(2)])

        def forward(self, x):
            return torch.cat([head(x) for head in self.heads], 1)
    return Heads()


def linear_b(before: int, now: int, dropout: float) -> list[nn.Module]:
    return [nn.Dropout(dropout), nn.Linear(before, now)]


def hidden_b(sizes: list[int], row: VaeGan) -> list[nn.Module]:
    return [layer for before, now in zip(sizes, sizes[1:], strict=False)
            for layer in (*linear_b(before, now, row.dropout), nn.LeakyReLU(row.slope))]


def nets_a(row: VaeGan, shape):
    channels, side, z, nodes = shape[0], shape[1], row.n_latent, row.n_hnodes
    c, d = row.vae_base_channels, row.disc_base_channels
    sides = (side - 4) // 2 + 1, ((side - 4) // 2 - 3) // 2 + 1

    def convolutions(base: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, base, 4, 2), nn.LeakyReLU(row.slope),
                nn.Conv2d(base, 2 * base, 4, 2), nn.BatchNorm2d(2 * base),
                nn.LeakyReLU(row.slope), nn.Flatten()]
    n = 2 * c * sides[1] ** 2
    encoder = nn.Sequential(*convolutions(c), nn.Linear(n, nodes), nn.BatchNorm1d(nodes),
                            nn.LeakyReLU(row.slope), nn.Linear(nodes, 2 * z))
    start = ((side - 4) // 2 - 2) // 2 + 1
    wide = 2 * c * start ** 2
    decoder = nn.Sequential(
        nn.Linear(z, nodes), nn.BatchNorm1d(nodes), nn.ReLU(), nn.Linear(nodes, wide),
        nn.BatchNorm1d(wide), nn.ReLU(), nn.Unflatten(1, (2 * c, start, start)),
        nn.ConvTranspose2d(2 * c, c, 3, 2), nn.BatchNorm2d(c), nn.ReLU(),
        nn.ConvTranspose2d(c, channels, 4, 2), nn.Sigmoid())
    n, extra = 2 * d * sides[1] ** 2, row.minibatch_kernels
    after = [Minibatch(n, extra, row.minibatch_dims)] if extra else []
    after += [nn.Dropout(row.dropout)] if row.dropout else []
    after += [nn.Linear(n + extra, row.disc_hnodes), nn.BatchNorm1d(row.disc_hnodes),
              nn.LeakyReLU(row.slope), nn.Linear(row.disc_hnodes, 1)]
    before = convolutions(d)
    return encoder, decoder, nn.Sequential(*before[:5]), nn.Sequential(before[5], *after)


def nets_b(row: VaeGan, shape):
    pixels, wide = math.prod(shape), row.n_hlayers * [row.n_hnodes]
    sizes = [pixels, *(row.disc_hnodes // 2 ** i for i in range(row.disc_hlayers))]
    encoder = nn.Sequential(nn.Flatten(), *hidden_b([pixels, *wide], row),
                            heads(row.n_hnodes, row.n_latent, row.dropout))
    decoder = nn.Sequential(*hidden_b([row.n_latent, *wide], row),
                            *linear_b(row.n_hnodes, pixels, row.dropout), nn.Tanh(),
                            nn.Unflatten(1, shape))
    disc = nn.Sequential(nn.Flatten(), *hidden_b(sizes, row), *linear_b(sizes[-1], 1, row.dropout))
    return encoder, decoder, disc, nn.Identity()


def nets_paper(row: VaeGan, shape):
    channels, side, c, d = shape[0], shape[1] // 8, row.vae_base_channels, row.disc_base_channels
    encoder, before = [Signed()], channels
    for now in (c, 2 * c, 4 * c):
        encoder += [nn.Conv2d(before, now, 5, 2, 2), nn.BatchNorm2d(now), nn.ReLU()]
        before = now
    encoder += [nn.Flatten(), nn.Linear(4 * c * side ** 2, row.n_hnodes),
                nn.BatchNorm1d(row.n_hnodes), nn.ReLU(), nn.Linear(row.n_hnodes, 2 * row.n_latent)]
    wide = 4 * c * side ** 2
    decoder = [nn.Linear(row.n_latent, wide), nn.BatchNorm1d(wide), nn.ReLU(),
               nn.Unflatten(1, (4 * c, side, side))]
    before = 4 * c
    for now in (4 * c, 2 * c, c // 2):
        decoder += [nn.ConvTranspose2d(before, now, 5, 2, 2, 1), nn.BatchNorm2d(now), nn.ReLU()]
        before = now
    decoder += [nn.Conv2d(before, channels, 5, 1, 2), nn.Tanh(), Unit()]
    disc, before = [Signed(), nn.Conv2d(channels, d, 5, 1, 2), nn.ReLU()], d
    for now in (4 * d, 8 * d, 8 * d):
        disc += [nn.Conv2d(before, now, 5, 2, 2), nn.BatchNorm2d(now), nn.ReLU()]
        before = now
    after = [*disc[-2:], nn.Flatten(), nn.Linear(8 * d * side ** 2, row.disc_hnodes),
             nn.BatchNorm1d(row.disc_hnodes), nn.ReLU(), nn.Linear(row.disc_hnodes, 1)]
    return (nn.Sequential(*encoder), nn.Sequential(*decoder), nn.Sequential(*disc[:-2]),
            nn.Sequential(*after))


def nets_dense(row: VaeGan, shape):
    from tests.benchmarks.pytorch import dense_vae
    vae = dense_vae(row, shape)
    before = nn.Sequential(nn.Flatten(), *hidden(math.prod(shape), row.disc_hlayers,
                                                 row.disc_hnodes))
    return vae.encoder, vae.decoder, before, nn.Linear(row.disc_hnodes, 1)


NETS = {'VAE_A': nets_a, 'VAE_B': nets_b, 'VAE_paper': nets_paper, 'DenseVAE': nets_dense}


class Disc(nn.Module):
    """Images (b, c, h, w) -> features (b, ...), logits (b, 1)."""

    def __init__(self, before: nn.Module, after: nn.Module):
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x):
        features = self.before(x)
        return features, self.after(features)


def make(row: VaeGan, kind: str, images, *options):
    torch.set_num_threads(2)
    torch.manual_seed(0)
    shape = tuple(images.shape[1:])
    encoder, decoder, before, after = NETS[row.vae](row, shape)
    disc, x = Disc(before, after), torch.from_numpy(images)              # x: (b, c, h, w)
    nets = {'encoder': encoder, 'decoder': decoder, 'disc': disc}
    if 'compile' in options:  # or no graph could be gone through twice
        from torch._functorch import config
        config.donated_buffer = False
    if 'channels_last' in options:
        x = x.to(memory_format=torch.channels_last)
        nets = {name: net.to(memory_format=torch.channels_last) for name, net in nets.items()}
    parameters = {name: [*net.parameters()] for name, net in nets.items()}
    p = SimpleNamespace(
        row=row, x=x, parameters=parameters,
        together=not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | Minibatch)
                         for net in nets.values() for layer in net.modules()),
        optimizers={name: optimizer(row, values) for name, values in parameters.items()},
        **{name: torch.compile(net) if 'compile' in options else net
           for name, net in nets.items()})
    n_parameters = sum(value.numel() for values in parameters.values() for value in values)
    return lambda: step(p), lambda: n_parameters


def optimizer(row: VaeGan, parameters):
    if row.optimizer == 'rmsprop':
        return torch.optim.RMSprop(parameters, row.lr, alpha=0.9, foreach=True)
    return torch.optim.Adam(parameters, row.lr, fused=True)


def log_density(row: VaeGan, features_hat, features):
    squares = (features_hat - features).square().flatten(1)
    if row.likelihood == 'mean_square':
        return squares.mean()
    return (0.5 * squares + 0.5 * math.log(2 * math.pi)).sum(1).mean()


def label(row: VaeGan, like, low: float, high: float, other_low: float, other_high: float):
    if low == high and not row.flips:
        return torch.full_like(like, low)
    place = torch.rand_like(like)
    return torch.where(torch.rand_like(like) < row.flips,
                       other_low + (other_high - other_low) * place, low + (high - low) * place)


def judged(p, batches: list) -> list:
    """Features and logits of batches, passed through apart or together as the row says."""
    if p.row.disc_batches == 'apart' and not p.together:
        return [p.disc(batch) for batch in batches]
    features, logit = p.disc(torch.cat(batches))
    return [*zip(features.chunk(len(batches)), logit.chunk(len(batches)), strict=True)]


def drawn(p, latents: list) -> list:
    """Images of latents, normalised apart."""
    if not p.together:
        return [p.decoder(z) for z in latents]
    return p.decoder(torch.cat(latents)).chunk(len(latents))


def step(p) -> None:
    row, grad = p.row, torch.autograd.grad
    mean, logvar = p.encoder(p.x).chunk(2, 1)                           # (b, z)
    z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
    leaf = z.detach().requires_grad_()
    x_hat, sample = drawn(p, [leaf, torch.randn_like(mean)])
    (features, real), (features_hat, fake), (_, of_sample) = judged(p, [p.x, x_hat, sample])
    if row.similarity_pass == 'own':
        (features, _), (features_hat, _) = judged(p, [p.x, x_hat])
    similarity = log_density(row, features_hat, features)
    bounds = (row.real_low, row.real_high), (row.fake_low, row.fake_high)
    costs = [binary_cross_entropy_with_logits(logit, label(row, logit, *order[0], *order[1]))
             for logit, order in ((real, bounds), (fake, bounds[::-1]), (of_sample, bounds[::-1]))]
    if row.gan_term == 'saturating':
        gan = -sum(binary_cross_entropy_with_logits(logit, torch.zeros_like(logit))
                   for logit in (fake, of_sample))
    else:
        gan = sum(binary_cross_entropy_with_logits(logit, torch.ones_like(logit))
                  for logit in (fake, of_sample))
    found = {'disc': grad(sum(costs), p.parameters['disc'], retain_graph=True)}
    d_similarity, = grad(similarity, [x_hat], retain_graph=True)
    d_x_hat, d_sample = grad(gan, [x_hat, sample])
    d_z, = grad(x_hat, [leaf], row.beta * d_similarity, retain_graph=True)
    found['decoder'] = grad([x_hat, sample], p.parameters['decoder'], [
        row.gamma * d_similarity + row.disc_weight * d_x_hat, row.disc_weight * d_sample])
    kl = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()
    kl = kl / {'images': 1, 'latents': row.n_latent,
               'pixels': math.prod(p.x.shape[1:])}[row.kl_normaliser]
    found['encoder'] = grad([kl, z], p.parameters['encoder'], [torch.ones_like(kl), d_z])
    for name in stepping(row, costs):
        for parameter, gradient in zip(p.parameters[name], found[name], strict=True):
            parameter.grad = gradient
        p.optimizers[name].step()


def stepping(row: VaeGan, costs: list) -> tuple[str, ...]:
    if row.equilibrium is None:
        return 'encoder', 'decoder', 'disc'
    real, *fakes = (cost.item() for cost in costs)
    fake = sum(fakes) / len(fakes)
    waiting = {'disc'} if min(real, fake) < row.equilibrium - row.margin else set()
    if max(real, fake) > row.equilibrium + row.margin:
        waiting.add('decoder')
    return tuple(name for name in ('encoder', 'decoder', 'disc')
                 if name not in waiting or len(waiting) == 2)


if __name__ == '__main__':
    contenders.main(make)
