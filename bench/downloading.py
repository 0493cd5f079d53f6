"""The download of a large layer, beside nginx serving the same file by itself over the same TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench import images, layers, peer
from bench.client import Door
from bench.figures import Bound, Row, compared, interleaved
from bench.images import Image
from bench.stage import Bench, door, serving

NAME: Final = "download"
_SIZE: Final = 1024 * layers.MIB
_BOUND: Final = Bound("at least", 0.95)


def measure(bench: Bench) -> Iterator[Row]:
    """The same file on the same disk, warm in the page cache for both."""
    layer = layers.layer(_SIZE)
    image = Image.of(layer)
    with serving(bench, "download") as running:
        here = door(running)
        images.push(bench.client, here, image)
        stored = max(
            (file for file in (running.data / "layers").rglob("*") if file.is_file()),
            key=lambda file: file.stat().st_size,
        )
        files = peer.Files(stored, running.data / "users.htpasswd")
        with peer.running(bench.folder / "static", running, files) as bare:
            yield _rates(bench, (here, bare), image, layer.size)


def _rates(bench: Bench, doors: tuple[Door, Door], image: Image, size: int) -> Row:
    def rate(one: Door, path: str) -> float:
        answer = bench.client.ask(one, "GET", path)
        assert answer.size == size, f"{path} gave {answer.size} bytes of {size}"
        return size / layers.MIB / answer.seconds

    here, bare = doors
    subjects = {"ours": lambda: rate(here, f"{image.base}/layer"), "static": lambda: rate(bare, "/open")}
    cipher = {bench.client.ask(here, "GET", f"{image.base}/json").tls, bench.client.ask(bare, "GET", "/open").tls}
    assert len(cipher) == 1, f"both sides must speak the same TLS, not {cipher}"
    interleaved(1, subjects)
    measured = interleaved(bench.rounds, subjects)
    peers = (f"nginx, static file, {cipher.pop()}", measured["static"])
    subject = f"v1 layer of {size / layers.MIB:.0f} MiB"
    return compared((NAME, subject), "MiB/s", measured["ours"], peers, _BOUND)
