"""Downloads from mirrors on this machine: whole and right, or not at all."""
import gzip
import hashlib
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from data import DataError, MissingDataError, fetch, mnist
from data.loading import load

ROOT = Path(__file__).resolve().parent.parent
CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MIRRORS = mnist.MIRRORS  # the tests run without them
ODD = {
    'nothing': b'', 'not_http': b'hello\r\nthere\r\n',
    'cut_chunk': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc',
    'astray': b'HTTP/1.1 302 Found\r\nLocation: http://[x/\r\n\r\n',
    'endless_header': b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 70_000 + b'\r\n\r\n',
}


class Mirror(BaseHTTPRequestHandler):
    """/good/ serves the files, /bad/ others, /cut/ half of them, /slow/ too late."""
    files = {'file': CONTENT}
    asked = []

    def do_GET(self):
        _, kind, name = self.path.split('/')
        self.asked.append(self.path)
        if kind in ODD:
            self.wfile.write(ODD[kind])
        elif kind == 'gone' or name not in self.files:
            self.send_error(404)
        else:
            if kind == 'slow':
                time.sleep(1)
            content = self.files[name]
            self.send_response(200)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write({'bad': bytes(len(content)), 'cut': content[:len(content) // 2]}
                             .get(kind, content))

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(monkeypatch):
    """A server on the loopback interface; kind of mirror -> its address."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), Mirror)
    server.handle_error = lambda *_: None  # a client that hung up, said into other tests' stderr
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setattr(Mirror, 'asked', [])
    yield lambda kind: f'http://127.0.0.1:{server.server_port}/{kind}/'
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('kind', ['gone', 'bad', 'cut', 'slow', *ODD])
def test_mirror_without_the_right_file_is_passed_over(mirror, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(fetch, 'TIMEOUT_SECONDS', 0.5)
    fetch.download('file', (mirror(kind), mirror('good')), DIGEST, tmp_path / 'cache')
    assert (tmp_path / 'cache' / 'file').read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / 'cache').iterdir()] == ['file']
    assert Mirror.asked == [f'/{kind}/file', '/good/file']
    with pytest.raises(DataError) as error:
        fetch.download('file', (mirror(kind), 'http://127.0.0.1:1/'), DIGEST, tmp_path / 'none')
    message = str(error.value)
    assert mirror(kind) in message and 'refused' in message and '\n' not in message
    assert 'sha256' in message or kind != 'bad'
    assert not list((tmp_path / 'none').iterdir())


@pytest.fixture
def served_mnist(mirror, mnist_root, monkeypatch):
    """The small files on a mirror, with their checksums expected."""
    packed = {f'{name}.gz': gzip.compress((mnist_root / name).read_bytes())
              for name in mnist.FILES}
    monkeypatch.setattr(Mirror, 'files', packed)
    monkeypatch.setattr(mnist, 'FILES', {name: hashlib.sha256(packed[f'{name}.gz']).hexdigest()
                                         for name in mnist.FILES})
    monkeypatch.setattr(mnist, 'MIRRORS', (mirror('good'),))


def test_mnist_is_downloaded_once_and_goes_on_after_a_cut(served_mnist):
    for _ in range(2):
        assert len(load('MNIST').train) == 160 and len(Mirror.asked) == 4
    (fetch.cache_dir() / 'mnist' / 't10k-labels-idx1-ubyte.gz').unlink()
    assert len(load('MNIST').test) == 20 and len(Mirror.asked) == 5


KILLED = """
import os, signal, sys
from pathlib import Path
from data import fetch
with fetch.cache_lock(Path(sys.argv[1])), fetch.atomic_write(Path(sys.argv[1], 'file')) as file:
    file.write(b'half of it')
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_download_leaves_no_lock_and_nothing_after_the_next(tmp_path):
    killed = subprocess.run([sys.executable, '-c', KILLED, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert all(path.name.startswith('.') for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2
    with fetch.cache_lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [fetch.LOCK]


def test_others_wait_while_the_cache_is_filled(tmp_path, capsys):
    def fill() -> None:
        with fetch.cache_lock(tmp_path):
            pass
    other = threading.Thread(target=fill)
    with fetch.cache_lock(tmp_path):
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join(10)
    assert not other.is_alive()
    assert f'{tmp_path}: waiting for another process' in capsys.readouterr().err


def test_cache_that_cannot_be_written_is_one_line(served_mnist, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(MissingDataError, match='cannot be downloaded'):
        load('MNIST')


def test_there_is_more_than_one_mirror():
    assert len({urlsplit(mirror).hostname for mirror in MIRRORS}) >= 2
    assert all(mirror.endswith('/') for mirror in MIRRORS)  # file names are put behind
