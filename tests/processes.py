"""The real command in processes of its own, that can be stopped, limited and started again."""
import os
import subprocess
import sys
from pathlib import Path

from training.reporting.statistics import read_statistics

ROOT = Path(__file__).resolve().parent.parent

LAST_WORDS = 'Engine shutdown'


def talking_to_the_end(folder: Path) -> dict[str, str]:
    """Return an environment in which Python says LAST_WORDS on stderr as it ends.

    As the CUDA build of MXNet does where there is no driver.
    """
    (folder / 'sitecustomize.py').write_text(
        f'import atexit, os\natexit.register(os.write, 2, b"{LAST_WORDS}\\n")\n')
    return os.environ | {'PYTHONPATH': str(folder)}


def python(*words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    """Run Python in a folder, with these variables beside those of the tests."""
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True,
                          env=os.environ | variables)


def project_of_links(folder: Path, *names: str) -> Path:
    """Make a project in a folder with a space: links to what is here."""
    project = folder / 'my project'
    project.mkdir()
    for name in ('models', 'data', 'training', 'results', *names):
        (project / name).symlink_to(ROOT / name)
    return project


class Run:
    """A run in a folder, again and again."""

    def __init__(self, arguments: list[str], root: Path, data_root: Path):
        self.root = root
        self.command = [sys.executable, '-m', 'training', 'run', *arguments, '--ctx', 'cpu',
                        '--results-root', str(root), '--data-root', str(data_root),
                        '--checkpoint-minutes', '0.004']

    def start(self, **options) -> subprocess.Popen:
        """A process that has begun to train, or has ended."""
        process = subprocess.Popen(self.command, cwd=ROOT, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, **options)
        for line in process.stdout:
            if ' epochs on ' in line:
                break
        return process

    def attempt(self, **options) -> tuple[int, str]:
        """Exit status, and what it said on stderr."""
        done = subprocess.run(self.command, cwd=ROOT, capture_output=True, text=True, **options)
        return done.returncode, done.stderr

    def finish(self, **options) -> str:
        """Its stdout."""
        done = subprocess.run(self.command, cwd=ROOT, capture_output=True, text=True, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def folder(self) -> Path:
        return next(p.parent for p in self.root.glob('*/*/config.json'))

    def unfinished(self) -> Path:
        return next(self.root.glob('*/*.unfinished'))

    def whole(self) -> dict:
        """Its result, after it has finished."""
        self.finish()
        return self.result()

    def result(self) -> dict:
        """All that has to be the same."""
        folder = self.folder()
        files = {p.name: p.read_bytes().replace(os.fsencode(self.root), b'ROOT')
                 for p in folder.iterdir() if p.suffix in ('.params', '.png', '.json')}
        return files | {'statistics': [{k: v for k, v in line.items() if k != 'seconds'}
                                       for line in read_statistics(folder)]}


class Job(Run):
    """A run on several workers."""

    def __init__(self, arguments: list[str], root: Path, data_root: Path, n_workers: int = 2,
                 *options: str):
        super().__init__(arguments, root, data_root)
        self.command[3:3] = ['launch', '--workers', str(n_workers), *options]
        del self.command[-2:]  # a job has its checkpoints at the end of epochs

    def begun(self, epoch: int) -> subprocess.Popen:
        """Its launcher, after the end of that epoch."""
        process = self.start()
        if not any(line.startswith(f'epoch {epoch} ') for line in process.stdout):
            raise AssertionError(f'ended before the end of epoch {epoch}')
        return process

    def processes(self, role: str = '') -> list[int]:
        """Those of one role that there are, or of all."""
        found = []
        for folder in Path('/proc').glob('[0-9]*'):
            try:
                line, settings = ((folder / name).read_bytes().split(b'\0')
                                  for name in ('cmdline', 'environ'))
            except OSError:
                continue
            if str(self.root).encode() in line and any(
                    setting.startswith(f'DMLC_ROLE={role}'.encode()) for setting in settings):
                found.append(int(folder.name))
        return found
