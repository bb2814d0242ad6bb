"""Downloads from mirrors on this machine: whole and right, or not at all."""
import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import data
from data import fetch, mnist

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Mirror(BaseHTTPRequestHandler):
    """/good/ serves the files, /bad/ others, /cut/ half of them, the rest nothing."""
    files = {'file': CONTENT}
    asked = []

    def do_GET(self):
        _, kind, name = self.path.split('/')
        self.asked.append(self.path)
        content = self.files.get(name)
        if content is None or kind not in ('good', 'bad', 'cut'):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        sent = {'good': content, 'bad': bytes(len(content)), 'cut': content[:len(content) // 2]}
        self.wfile.write(sent[kind])

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(monkeypatch):
    """A server on the loopback interface; kind of mirror -> its address."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(Mirror, 'asked', [])
    yield lambda kind: f'http://127.0.0.1:{server.server_port}/{kind}/'
    server.shutdown()
    server.server_close()


def test_first_mirror_with_the_right_file_serves(mirror, tmp_path):
    mirrors = tuple(mirror(kind) for kind in ('gone', 'bad', 'cut', 'good'))
    fetch.download('file', mirrors, DIGEST, tmp_path / 'cache')
    assert (tmp_path / 'cache' / 'file').read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / 'cache').iterdir()] == ['file']


def test_no_mirror_with_the_right_file_leaves_nothing(mirror, tmp_path):
    mirrors = tuple(mirror(kind) for kind in ('gone', 'bad', 'cut'))
    with pytest.raises(data.DataError) as error:
        fetch.download('file', (*mirrors, 'http://127.0.0.1:1/'), DIGEST, tmp_path)
    for address in mirrors:
        assert address in str(error.value)
    assert 'sha256' in str(error.value) and 'refused' in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def served_mnist(mirror, mnist_root, monkeypatch):
    """The small files on a mirror, with their checksums expected."""
    packed = {f'{name}.gz': gzip.compress((mnist_root / name).read_bytes())
              for name in mnist.FILES}
    monkeypatch.setattr(Mirror, 'files', packed)
    monkeypatch.setattr(mnist, 'FILES', {name: hashlib.sha256(packed[f'{name}.gz']).hexdigest()
                                         for name in mnist.FILES})
    monkeypatch.setattr(mnist, 'MIRRORS', (mirror('good'),))


def test_mnist_is_downloaded_once(served_mnist):
    assert len(data.load('MNIST').train) == 160
    assert len(Mirror.asked) == 4
    assert len(data.load('MNIST').train) == 160
    assert len(Mirror.asked) == 4


def test_download_that_was_cut_off_goes_on(served_mnist):
    data.load('MNIST')
    (fetch.cache_dir() / 'mnist' / 't10k-labels-idx1-ubyte.gz').unlink()
    assert len(data.load('MNIST').test) == 20
    assert len(Mirror.asked) == 5


def test_cache_that_cannot_be_written_is_one_line(served_mnist, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(data.MissingDataError, match='not to be downloaded'):
        data.load('MNIST')


def test_there_is_more_than_one_mirror():
    import importlib
    source = importlib.util.find_spec('data.mnist').loader.get_source('data.mnist')
    assert source.count('://') >= 2
