"""The nets that train against each other, their optimizers, and all that changes in them."""
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mxnet import Context, gluon, init, nd, random
from mxnet.ndarray import NDArray

from training.experiments.row import Row, VaeGan
from training.runtime import memory, parallel
from training.steps import batchnorm, convolution, nearness, optim

ALONE = parallel.Workers()


@dataclass(frozen=True)
class Networks:
    """The nets and their optimizers."""
    vae: gluon.Block
    vae_trainer: gluon.Trainer
    pixel_loss: str | None
    disc: gluon.Block | None = None
    disc_trainer: gluon.Trainer | None = None
    critic: gluon.Block | None = None        # the discriminator, for gradients of images only
    sampler: gluon.Block | None = None       # the VAE's encoder, for several latents an image
    pair_decoder: gluon.Block | None = None  # the VAE's, for two batches at once

    @functools.cached_property
    def encoder_statistics(self) -> list[batchnorm.Statistic]:
        """BatchNorm's running means and variances in the encoder, with their momenta."""
        return batchnorm.statistics_of(self.vae.encoder)

    @functools.cached_property
    def vae_normalises(self) -> bool:
        """Whether BatchNorm is in the VAE."""
        return bool(batchnorm.statistics_of(self.vae))

    @functools.cached_property
    def disc_normalises(self) -> bool:
        """Whether BatchNorm is in the discriminator."""
        return bool(batchnorm.statistics_of(self.disc))

    @functools.cached_property
    def has_dropout(self) -> bool:
        """Whether a net makes random numbers of its own, as some of GluonCV's do."""
        return any(_any(net, lambda block: isinstance(block, gluon.nn.Dropout))
                   for _, net, _ in self._nets())

    def _nets(self) -> Iterator[tuple[str, gluon.Block, gluon.Trainer]]:
        yield 'vae', self.vae, self.vae_trainer
        if self.disc is not None:
            yield 'disc', self.disc, self.disc_trainer

    def arrays(self) -> dict[str, NDArray]:
        """Return parameters, running statistics and Adam's means and variances, by name.

        All devices have the same ones but for running statistics; the other devices' end in @1 ..
        """
        arrays = {}
        for whose, net, trainer in self._nets():
            for name, parameter in net._collect_params_with_prefix().items():
                copies = parameter.list_data()
                for i, copy in enumerate(copies if parameter.grad_req == 'null' else copies[:1]):
                    arrays[f'{whose}/{name}' + (f'@{i}' if i else '')] = copy
                state = trainer._updaters[0].states.get(trainer._param2idx[parameter.name])
                if state is not None:
                    arrays[f'{whose}.mean/{name}'], arrays[f'{whose}.variance/{name}'] = state
        return arrays

    def update_counts(self) -> dict[str, int]:
        """Return how often Adam has updated each parameter that it has updated, by name."""
        return {f'{whose}/{name}': trainer._optimizer._index_update_count[index]
                for whose, net, trainer in self._nets()
                for name, parameter in net._collect_params_with_prefix().items()
                for index in [trainer._param2idx[parameter.name]]
                if index in trainer._updaters[0].states}

    def restore(self, arrays: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> None:
        """Set what `arrays` and `update_counts` gave, of networks of the same row and devices."""
        for whose, net, trainer in self._nets():
            optimizer, updated = trainer._optimizer, {}
            for name, parameter in net._collect_params_with_prefix().items():
                for i, copy in enumerate(parameter.list_data()):
                    own = f'{whose}/{name}@{i}'
                    copy[:] = arrays[own if own in arrays else f'{whose}/{name}']
                if f'{whose}/{name}' not in counts:
                    continue
                index = trainer._param2idx[parameter.name]
                updated[index] = counts[f'{whose}/{name}']
                state = [arrays[f'{whose}.{moment}/{name}'] for moment in ('mean', 'variance')]
                for updater, ctx in zip(trainer._updaters, trainer._contexts, strict=True):
                    updater.states[index] = tuple(nd.array(values, ctx) for values in state)
                    updater.states_synced[index] = True
            for ctx in reversed(trainer._contexts):
                optimizer._set_current_context(ctx.device_id)
                optimizer._index_update_count.update(updated)
            optimizer.num_update = max(updated.values(), default=0)


@dataclass(frozen=True)
class VaeGanNetworks(Networks):
    """A VAE/GAN's nets: encoder and decoder have trainers of their own."""
    encoder_trainer: gluon.Trainer | None = None
    decoder_trainer: gluon.Trainer | None = None
    feature_disc: gluon.Block | None = None  # the discriminator: images -> features, logit

    def _nets(self) -> Iterator[tuple[str, gluon.Block, gluon.Trainer]]:
        yield 'encoder', self.vae.encoder, self.encoder_trainer
        yield 'decoder', self.vae.decoder, self.decoder_trainer
        yield 'disc', self.disc, self.disc_trainer

    @functools.cached_property
    def trainers(self) -> dict[str, gluon.Trainer]:
        """The optimizers by net: encoder, decoder, disc."""
        return {name: trainer for name, _, trainer in self._nets()}

    @functools.cached_property
    def parameters(self) -> dict[str, list[gluon.Parameter]]:
        """The parameters that are trained, by net."""
        return {name: [p for p in net.collect_params().values() if p.grad_req != 'null']
                for name, net, _ in self._nets()}

    @functools.cached_property
    def statistics(self) -> dict[str, list[batchnorm.Statistic]]:
        """BatchNorm's running means and variances with their momenta, by net."""
        return {name: batchnorm.statistics_of(net) for name, net, _ in self._nets()}

    @functools.cached_property
    def one_by_one(self) -> dict[str, bool]:
        """Whether no image changes what a net makes of the others in its batch, by net."""
        return {name: not self.statistics[name] and not _any(net, nearness.is_in)
                for name, net, _ in self._nets()}


class Sampler(gluon.HybridBlock):
    """A VAE's encoder, and several latents of each image."""

    def __init__(self, vae: gluon.HybridBlock):
        super().__init__()
        self.encoder = vae.encoder
        self.split, self.latent = vae.split, vae.latent

    def hybrid_forward(self, F, x, eps, *others):
        """Map x (b, c, h, w) and eps (b, z), n times, to mean, logvar, first latent (b, z) each.

        And to the n - 1 other latents, one batch after another ((n - 1) * b, z).
        """
        mean, logvar = self.split(F, self.encoder(x))                   # (b, z) each
        # Not one by one: MXNet would make one exp of their equal ones, and round otherwise
        repeated = (F.concat(*len(others) * [array], dim=0) for array in (mean, logvar))
        return (mean, logvar, self.latent(F, mean, logvar, eps),
                self.latent(F, *repeated, F.concat(*others, dim=0)))


def compiled(net: gluon.Block) -> gluon.Block:
    """Return a net around the same parameters, compiled by itself.

    A compiled net is made anew whenever other gradients are asked of it, or another batch size.
    """
    outer = gluon.nn.HybridSequential()
    outer.add(net)
    return _hybridized(outer)


def _hybridized(net: gluon.Block) -> gluon.Block:
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def _any(net: gluon.Block, is_so: Callable[[gluon.Block], bool]) -> bool:
    found = []
    net.apply(lambda block: found.append(is_so(block)))
    return any(found)


def make_networks(row: Row, vae, disc, shape: tuple[int, int, int],
                  ctx: Context | list[Context], workers: parallel.Workers = ALONE,
                  feature_disc=None) -> Networks:
    """Initialise (Xavier, from the row's seed) and hybridize nets; return them with optimizers.

    On several devices each has its own copy of the nets; trainers keep them the same.
    feature_disc: of a VAE/GAN, the discriminator with its features.
    """
    random.seed(row.seed)
    images, noise = nd.zeros((1, *shape)), nd.zeros((1, row.n_latent))
    inputs = (images, noise) if row.encodes else (noise,)
    for net, examples in ((vae, inputs), (disc, (images,))):
        if net is not None:
            net.infer_shape(*examples)  # so that weights are drawn now, in the nets' own order
    memory.check(row, vae, disc, shape, ctx if isinstance(ctx, list) else [ctx])
    for net in filter(None, (vae, disc)):
        net.initialize(init.Xavier(), ctx=ctx)
    if feature_disc is not None:
        return _make_vaegan_networks(row, vae, disc, feature_disc, workers,
                                     len(ctx) if isinstance(ctx, list) else 1)
    for net in filter(None, (vae, disc)):
        _hybridized(net)
    vae_trainer = _trainer(row, vae, workers)
    disc_trainer = _trainer(row, disc, workers) if disc else None
    return Networks(vae, vae_trainer, row.pixel_loss, disc, disc_trainer,
                    critic=compiled(disc) if disc else None,
                    sampler=_hybridized(Sampler(vae)) if row.encodes else None,
                    pair_decoder=compiled(vae.decoder) if row.encodes else None)


def _make_vaegan_networks(row: VaeGan, vae, disc, feature_disc, workers: parallel.Workers,
                          n_devices: int) -> VaeGanNetworks:
    if row.equilibrium is not None and n_devices * workers.count > 1:
        row.refuse('equilibrium', 'none on several devices, for each knows the costs of its part')
    if row.routing == 'accumulated' and any(
            len(p.shape) == 4 for net in (vae, disc) for p in net.collect_params().values()):
        row.refuse('routing', 'separate, for nets with convolutions')
    for net in (vae, feature_disc):
        if net is vae or row.routing == 'accumulated':
            _hybridized(net)
        if row.routing == 'accumulated':
            for parameter in net.collect_params().values():
                if parameter.grad_req != 'null':
                    parameter.grad_req = 'add'
    if row.routing == 'separate':  # a compiled net is made anew for each set of gradients
        vae.decoder.hybridize(False)
        nearness.use_kernels(disc)
        for net in (vae.decoder, disc):
            convolution.use_kernels(net)
    encoder, decoder, discriminator = (
        _trainer(row, net, workers) for net in (vae.encoder, vae.decoder, disc))
    return VaeGanNetworks(vae, None, None, disc, discriminator, encoder_trainer=encoder,
                          decoder_trainer=decoder, feature_disc=feature_disc)


def _trainer(row: Row, net: gluon.Block, workers: parallel.Workers) -> gluon.Trainer:
    return optim.Trainer(net.collect_params(), optim.optimizer(row), kvstore=workers.store(),
                         update_on_kvstore=False)
