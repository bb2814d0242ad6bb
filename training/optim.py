"""Adam (Kingma and Ba, 2015) for the Gluon Trainer, in one pass over memory on the CPU."""
import math

import numpy as np
from mxnet.optimizer import Adam as MXNetAdam
from mxnet.optimizer import Optimizer

from training import kernels


@Optimizer.register
class FusedAdam(MXNetAdam):
    """MXNet's Adam: the same state, the same update; on CUDA its own code, on CPU one kernel.

    MXNet's `adam_update` runs on one core and at a fraction of what memory allows.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.aggregate_num = np.iinfo(np.int32).max  # all parameters in one call
        self._rows = None

    def update(self, index, weight, grad, state) -> None:
        """Update the arrays of the lists weight and state from those of grad, in place."""
        if weight[0].context.device_type != 'cpu' or weight[0].dtype != np.float32:
            for one in zip(index, weight, grad, state, strict=True):
                super().update(*one)
            return
        self._update_count(index)
        lr = [rate * math.sqrt(1 - self.beta2 ** t) / (1 - self.beta1 ** t)
              for rate, t in zip(self._get_lrs(index), map(self._index_update_count.get, index),
                                 strict=True)]
        rows = kernels.chunks([(w, g, *s) for w, g, s in zip(weight, grad, state, strict=True)])
        kernels.adam(rows, *(np.array(v, np.float32) for v in (lr, self._get_wds(index))),
                     *map(np.float32, (self.beta1, self.beta2, self.epsilon, self.rescale_grad,
                                       self.clip_gradient or np.inf)))
