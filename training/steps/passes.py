"""Passes of batches through a net that are differentiated more than once, and in parts."""
from collections.abc import Callable
from dataclasses import dataclass, replace

from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

from training.steps.losses import recorded


@dataclass(frozen=True)
class Passes:
    """Batches (b, ...) behind a net: each by itself, or all side by side in one pass.

    A loss is given by its gradients of the outputs, one for each batch, or none where a batch has
    no part in it. Graphs stay until this is gone; only the gradients that are asked for are made.
    """
    leaves: list[NDArray]   # of each pass, what went in
    outputs: list           # and what came out: an array, or several
    n_batches: int

    @classmethod
    def through(cls, net: gluon.Block, batches: list[NDArray], side_by_side: bool,
                around: list[Callable]) -> 'Passes':
        """Return the passes of batches through a net.

        around: contexts, one for the pass of each batch; the first is that of a common one.
        """
        leaves, outputs = [], []
        groups = [nd.concat(*batches, dim=0)] if side_by_side else batches
        for context, group in zip(around, groups, strict=False):
            with context():
                leaf, output = recorded(net, group)
            leaves.append(leaf)
            outputs.append(output)
        return cls(leaves, outputs, len(batches))

    @property
    def side_by_side(self) -> bool:
        """Whether all batches went through in one pass."""
        return len(self.leaves) < self.n_batches

    def of(self, which: int) -> 'Passes':
        """Return the same passes, with one of several outputs."""
        return replace(self, outputs=[output[which] for output in self.outputs])

    def parts(self) -> list[NDArray]:
        """Return the output of each batch."""
        return self._split(self.outputs[0]) if self.side_by_side else self.outputs

    def train(self, parameters: list[gluon.Parameter], d_outputs: list[NDArray | None]) -> None:
        """Compute the gradients of the net's parameters, and of nothing else."""
        outputs, heads = self._heads(d_outputs)
        weights = [p.data(outputs[0].context) for p in parameters]
        gradients = autograd.grad(outputs, weights, heads, retain_graph=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad[:] = gradient
            weight._fresh_grad = True  # as a backward pass would say

    def train_apart(self, parameters: list[gluon.Parameter],
                    d_outputs: list[NDArray | None]) -> None:
        """Do what `train` does for nets with transposed convolutions, a pass after the other.

        MXNet's CPU build crashes where two of them get gradients in one backward pass, or where
        `autograd.grad` is asked for that of its weights.
        """
        outputs, heads = self._heads(d_outputs)
        gradients = [p.grad(outputs[0].context) for p in parameters]
        before = []
        for output, head in zip(outputs, heads, strict=True):
            if before:
                before = [gradient.copy() for gradient in gradients]
            output.backward(head, retain_graph=True)  # or the other graph would lose its leaves
            for gradient, other in zip(gradients, before, strict=False):
                gradient += other
            before = gradients

    def gradient(self, which: int, d_outputs: list[NDArray | None]) -> NDArray:
        """Return the gradient of one batch (b, ...)."""
        if self.side_by_side:
            return self.gradients(d_outputs)[which]
        output, leaf = self.outputs[which], self.leaves[which]
        return autograd.grad(output, [leaf], d_outputs[which], retain_graph=True)[0]

    def gradients(self, d_outputs: list[NDArray | None]) -> list[NDArray | None]:
        """Return the gradients of the batches that have a part in the loss."""
        if self.side_by_side:
            outputs, heads = self._heads(d_outputs)
            whole, = autograd.grad(outputs, self.leaves, heads, retain_graph=True)
            return [None if head is None else part
                    for head, part in zip(d_outputs, self._split(whole), strict=True)]
        return [None if head is None else self.gradient(i, d_outputs)
                for i, head in enumerate(d_outputs)]

    def _heads(self, d_outputs: list[NDArray | None]) -> tuple[list[NDArray], list[NDArray]]:
        if not self.side_by_side:
            pairs = [pair for pair in zip(self.outputs, d_outputs, strict=True)
                     if pair[1] is not None]
            return [output for output, _ in pairs], [head for _, head in pairs]
        none = nd.zeros_like(next(head for head in d_outputs if head is not None))
        return self.outputs, [nd.concat(*(none if head is None else head for head in d_outputs),
                                        dim=0)]

    def _split(self, whole: NDArray) -> list[NDArray]:
        n = len(whole) // self.n_batches
        return [whole[i * n:(i + 1) * n] for i in range(self.n_batches)]
