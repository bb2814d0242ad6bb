"""Small picture files for tests: alone, in a folder, in a zip."""
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """A picture of random colours."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def encoded(picture: Image.Image, kind: str = 'PNG', **options) -> bytes:
    """The bytes of its file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def write_folder(folder: Path, contents: dict[str, bytes]) -> Path:
    """Files by their names, which may be in folders of their own."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_zip(path: Path, contents: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip of files by their names, in that order."""
    with zipfile.ZipFile(path, 'w', method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path
