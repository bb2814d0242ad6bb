"""Adam (Kingma and Ba, 2015) for the Gluon Trainer, in one pass over memory on the CPU."""
import math

import numpy as np
from mxnet import gluon
from mxnet.optimizer import Adam as MXNetAdam
from mxnet.optimizer import Optimizer

from training.experiments.row import Row
from training.steps import kernels


@Optimizer.register
class FusedAdam(MXNetAdam):
    """MXNet's Adam: the same state, the same update; on CUDA its own code, on CPU one kernel.

    MXNet's `adam_update` runs on one core and at a fraction of what memory allows.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.aggregate_num = np.iinfo(np.int32).max  # all parameters in one call
        self._states = {}  # what the kernel needs to know of each list's state

    def update(self, index, weight, grad, state) -> None:
        """Update weight and state from grad, in place: arrays, or lists of arrays."""
        if not isinstance(index, (list, tuple)):
            index, weight, grad, state = [index], [weight], [grad], [state]
        if weight[0].context.device_type != 'cpu' or weight[0].dtype != np.float32:
            for one in zip(index, weight, grad, state, strict=True):
                super().update(*one)
            return
        self._update_count(index)
        times = [self._index_update_count[i] for i in index]
        lr = [rate * math.sqrt(1 - self.beta2 ** t) / (1 - self.beta1 ** t)
              for rate, t in zip(self._get_lrs(index), times, strict=True)]
        chunks, moments = self._prepared((weight[0].context, *index), state)
        kernels.adam(chunks, *np.reshape(kernels.addresses(*weight, *grad), (2, -1)), *moments,
                     *(np.array(values, np.float32) for values in (lr, self._get_wds(index))),
                     *map(np.float32, (self.beta1, self.beta2, self.epsilon, self.rescale_grad,
                                       self.clip_gradient or np.inf)))

    def _prepared(self, key: tuple, state: list) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel's chunks, and the addresses (2, n) of means and variances.

        Those of the state stay, until it is loaded anew; MXNet moves weights and gradients when
        it changes their layout.
        """
        known, chunks, moments = self._states.get(key, ((), None, None))
        if [*map(id, known)] != [*map(id, state)]:
            chunks = kernels.chunks(tuple(mean.size for mean, _ in state))
            moments = np.transpose([kernels.addresses(*pair) for pair in state])
            moments = np.ascontiguousarray(moments)
            self._states[key] = list(state), chunks, moments
        return chunks, moments


@Optimizer.register
class FusedRMSProp(FusedAdam):
    """RMSProp (Tieleman and Hinton, 2012): Adam's update without its mean and bias correction."""

    def __init__(self, **options):
        super().__init__(beta1=0.0, beta2=0.9, **options)

    def _get_lrs(self, indices) -> list[float]:
        return [lr / math.sqrt(1 - self.beta2 ** self._index_update_count[i])
                for i, lr in zip(indices, super()._get_lrs(indices), strict=True)]


class Trainer(gluon.Trainer):
    """Gluon's, with little to look up at a step: weights and gradients are at hand.

    Its first step, and one without new gradients, is left to Gluon's own. The parameters' arrays
    have to stay the same ones.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        # Not at the first step, as Gluon does: all devices get the first one's running statistics
        self._init_kvstore()
        self._init_params()
        self._arrays = {}  # indices, weights and gradients, by device

    def _update(self, ignore_stale_grad: bool = False) -> None:
        for updater, ctx in zip(self._updaters, self._contexts, strict=True):
            indices, weights, _ = self._arrays.get(ctx) or self._at_hand(ctx)
            if not (all(map(updater.states_synced.get, indices))
                    and all(weight._fresh_grad for weight in weights)):
                super()._update(ignore_stale_grad)
                return
        for updater, ctx in zip(self._updaters, self._contexts, strict=True):
            indices, weights, gradients = self._arrays[ctx]
            self._optimizer._set_current_context(ctx.device_id)
            self._optimizer.update(indices, weights, gradients,
                                   [updater.states[i] for i in indices])
            for weight in weights:
                weight._fresh_grad = False

    def _at_hand(self, ctx) -> tuple[list, list, list]:
        trained = [(i, p) for i, p in enumerate(self._params) if p.grad_req != 'null']
        self._arrays[ctx] = ([i for i, _ in trained], [p.data(ctx) for _, p in trained],
                             [p.grad(ctx) for _, p in trained])
        return self._arrays[ctx]


def optimizer(row: Row) -> Optimizer:
    """Return a new optimizer, as a row says; Adam with its usual decay rates by default."""
    if row.optimizer == 'rmsprop':
        return FusedRMSProp(learning_rate=row.lr)
    return FusedAdam(learning_rate=row.lr, beta1=row.adam_beta1, beta2=row.adam_beta2)
