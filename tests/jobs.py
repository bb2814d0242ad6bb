"""A job's workers as threads of this process, of which one runs at a time."""
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition

from mxnet import nd

from training.runtime import launch, parallel

SECONDS = 20  # after which a worker that waits for the others gives up


class Store:
    """What a worker sees of a parameter server that adds up what comes in the order it comes."""
    type = parallel.DIST_SYNC

    def __init__(self, rank: int, num_workers: int, meeting: Condition, brought: defaultdict,
                 failed: list):
        self.rank, self.num_workers, self._failed = rank, num_workers, failed
        self._meeting, self._brought, self._visits = meeting, brought, Counter()

    def _all(self, name: str, array) -> dict:
        """What all workers bring to the meeting of that name, by rank, in the order they come."""
        self._visits[name] += 1
        brought = self._brought[name, self._visits[name]]
        brought[self.rank] = array.asnumpy()
        if len(brought) == self.num_workers:
            self._meeting.notify_all()
        self._meeting.wait_for(lambda: len(brought) == self.num_workers or self._failed, SECONDS)
        if len(brought) < self.num_workers:
            raise TimeoutError(f'worker {self.rank} waits for others than {[*brought]}: {name}')
        return brought

    def broadcast(self, name, value, out, priority=0) -> None:
        first = self._all(name, value)[0]
        for array in out:
            array[:] = first

    def pushpull(self, name, value, out, priority=0) -> None:
        whole = parallel._sum(value)
        parts = [nd.array(part) for part in self._all(name, whole).values()]
        for array in out:
            array[:] = parallel._sum(parts)


def run_job(monkeypatch, work: Callable, ranks: Sequence[int]) -> list:
    """Return what work(workers) returned for each worker, by rank; they start in that order."""
    meeting, brought, failed = Condition(), defaultdict(dict), []
    stores = (Store(rank, len(ranks), meeting, brought, failed) for rank in ranks)
    with monkeypatch.context() as patched:
        patched.setenv(launch.ROLE, 'worker')
        patched.setattr(parallel.kv, 'create', lambda _: next(stores))
        job = [parallel.Workers(parallel.DIST_SYNC) for _ in ranks]

    def run(workers):
        with meeting:
            try:
                return work(workers)
            except Exception as error:
                failed.append(error)
                meeting.notify_all()
    with ThreadPoolExecutor(len(job)) as pool:
        results = dict(zip(ranks, pool.map(run, job), strict=True))
    if failed:
        raise failed[0]
    return [results[rank] for rank in sorted(ranks)]
