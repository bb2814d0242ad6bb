"""The nets that train against each other, their optimizers, and all that changes in them."""
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mxnet import Context, gluon, init, nd, random
from mxnet.ndarray import NDArray

from training import memory, parallel
from training.optim import FusedAdam

ALONE = parallel.Workers()


@dataclass(frozen=True)
class Players:
    """The nets and their optimizers."""
    vae: gluon.Block
    vae_trainer: gluon.Trainer
    pixel_loss: str | None
    disc: gluon.Block | None = None
    disc_trainer: gluon.Trainer | None = None
    critic: gluon.Block | None = None        # the discriminator, for gradients of images only
    pair_decoder: gluon.Block | None = None  # the VAE's, for two batches at once

    @functools.cached_property
    def encoder_statistics(self) -> list[gluon.Parameter]:
        """BatchNorm's running means and variances in the encoder."""
        return _running_statistics(self.vae.encoder)

    @functools.cached_property
    def vae_normalises(self) -> bool:
        """Whether BatchNorm is in the VAE."""
        return bool(_running_statistics(self.vae))

    @functools.cached_property
    def disc_normalises(self) -> bool:
        """Whether BatchNorm is in the discriminator."""
        return bool(_running_statistics(self.disc))

    @functools.cached_property
    def draws_itself(self) -> bool:
        """Whether a net draws random numbers of its own: Dropout, in some of GluonCV's."""
        found = []
        for _, net, _ in self._nets():
            net.apply(lambda block: found.append(isinstance(block, gluon.nn.Dropout)))
        return any(found)

    def _nets(self) -> Iterator[tuple[str, gluon.Block, gluon.Trainer]]:
        yield 'vae', self.vae, self.vae_trainer
        if self.disc is not None:
            yield 'disc', self.disc, self.disc_trainer

    def arrays(self) -> dict[str, NDArray]:
        """Parameters, running statistics and Adam's means and variances, by name.

        All devices have the same ones but for running statistics, of which theirs are here, too.
        """
        found = {}
        for whose, net, trainer in self._nets():
            for name, parameter in net._collect_params_with_prefix().items():
                copies = parameter.list_data()
                for i, copy in enumerate(copies if parameter.grad_req == 'null' else copies[:1]):
                    found[f'{whose}/{name}' + (f'@{i}' if i else '')] = copy
                state = trainer._updaters[0].states.get(trainer._param2idx[parameter.name])
                if state is not None:
                    found[f'{whose}.mean/{name}'], found[f'{whose}.variance/{name}'] = state
        return found

    def update_counts(self) -> dict[str, int]:
        """How often Adam has updated each parameter that it has, by name."""
        return {f'{whose}/{name}': trainer._optimizer._index_update_count[index]
                for whose, net, trainer in self._nets()
                for name, parameter in net._collect_params_with_prefix().items()
                for index in [trainer._param2idx[parameter.name]]
                if index in trainer._updaters[0].states}

    def restore(self, arrays: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> None:
        """Set what `arrays` and `update_counts` gave, of players of the same row and devices."""
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


def compiled(net: gluon.Block) -> gluon.Block:
    """A net around the same parameters, compiled by itself.

    A compiled net is made anew whenever other gradients are asked of it, or another batch size.
    """
    outer = gluon.nn.HybridSequential()
    outer.add(net)
    outer.hybridize(static_alloc=True, static_shape=True)
    return outer


def _running_statistics(net: gluon.Block) -> list[gluon.Parameter]:
    return [p for p in net.collect_params().values() if p.grad_req == 'null']


def make_players(row, vae, disc, shape: tuple[int, int, int], ctx: Context | list[Context],
                 workers: parallel.Workers = ALONE) -> Players:
    """Initialise (Xavier, from the row's seed), hybridize and give each net its Adam.

    On several devices each has its own copy of the nets; trainers keep them the same.
    """
    random.seed(row.seed)
    images, noise = nd.zeros((1, *shape)), nd.zeros((1, row.n_latent))
    inputs = (noise,) if row.pixel_loss is None else (images, noise)
    nets, trainers = [(vae, inputs), (disc, (images,))], []
    for net, examples in nets:
        if net is not None:
            net.infer_shape(*examples)  # so that weights are drawn now, in the nets' own order
    memory.check(row, vae, disc, shape, ctx if isinstance(ctx, list) else [ctx])
    for net, _ in nets:
        if net is None:
            trainers.append(None)
            continue
        net.initialize(init.Xavier(), ctx=ctx)
        net.hybridize(static_alloc=True, static_shape=True)
        trainers.append(gluon.Trainer(net.collect_params(), FusedAdam(learning_rate=row.lr),
                                      kvstore=workers.store(), update_on_kvstore=False))
    return Players(vae, trainers[0], row.pixel_loss, disc, trainers[1],
                   critic=compiled(disc) if disc else None,
                   pair_decoder=compiled(vae.decoder) if row.pixel_loss else None)
