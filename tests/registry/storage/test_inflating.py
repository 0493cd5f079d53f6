"""The sha256 of the tar inside: right for every way of packing and cutting, absent for everything else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import time
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pier_registry.names import Digest
from pier_registry.storage.base import Received
from pier_registry.storage.hashing import Digester
from tests.registry.storage import bodies
from tests.registry.storage.bodies import GIB, MIB, sha256

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),
}
PREFIX = b"{}\n"
packer = st.sampled_from(sorted(PACKERS)).map(PACKERS.__getitem__)


def digested(pieces: Iterable[bytes], max_inflated: int = GIB) -> Received:
    with Digester(PREFIX, max_inflated) as digester:
        for piece in pieces:
            digester.update(piece)
        return digester.finish()


def tar_inside(body: bytes, max_inflated: int = GIB) -> Digest | None:
    return digested(cut(body, MIB), max_inflated).uncompressed


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@given(body=st.binary(max_size=3000), size=st.integers(1, 2000))
def test_bytes_and_payload_have_their_sha256_however_they_arrive(body: bytes, size: int) -> None:
    told = digested(cut(body, size))
    assert (told.size, told.digest, told.payload) == (len(body), sha256(body), sha256(PREFIX + body))


@given(
    members=st.lists(st.binary(max_size=2000), min_size=1, max_size=5),
    pack=packer,
    padding=st.integers(0, 300),
    size=st.integers(1, 5000),
)
def test_all_members_are_inflated_however_they_arrive(
    members: list[bytes], pack: Callable[[bytes], bytes], padding: int, size: int
) -> None:
    body = b"".join(pack(member) for member in members) + bytes(padding)
    assert digested(cut(body, size)).uncompressed == sha256(b"".join(members))


@given(content=st.binary(max_size=500), repeats=st.integers(1, 5000), level=st.integers(0, 9))
def test_every_level_of_gzip_inflates(content: bytes, repeats: int, level: int) -> None:
    assert tar_inside(gzip.compress(content * repeats, level)) == sha256(content * repeats)


@given(content=st.binary(max_size=2000), pack=packer, data=st.data())
def test_a_cut_body_has_no_tar_inside(content: bytes, pack: Callable[[bytes], bytes], data: st.DataObject) -> None:
    body = pack(content)
    length = data.draw(st.integers(0, len(body) - 1))
    assert tar_inside(body[:length]) is None


@given(content=st.binary(min_size=1, max_size=2000), pack=packer, data=st.data())
def test_a_damaged_body_never_gives_another_digest(
    content: bytes, pack: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    body = bytearray(pack(content))
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    assert tar_inside(bytes(body)) in {None, sha256(content)}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_body_of_many_pieces_inflates(pack: Callable[[bytes], bytes]) -> None:
    content = b"".join(sha256(str(n).encode()).encoded.encode() for n in range(80_000))
    assert tar_inside(pack(content)) == sha256(content)


def test_noise_after_the_last_member_is_damage() -> None:
    assert tar_inside(gzip.compress(b"tar") + b"noise") is None


@given(
    extra=st.none() | st.binary(max_size=300),
    name=st.none() | st.text("abc", max_size=300),
    comment=st.none() | st.text("abc", max_size=300),
    crc=st.booleans(),
    members=st.integers(1, 3),
    size=st.integers(1, 400),
)
def test_a_gzip_header_may_hold_every_field_and_come_in_pieces(
    extra: bytes | None, name: str | None, comment: str | None, crc: bool, members: int, size: int
) -> None:
    body = with_header(gzip.compress(b"tar"), extra, name, comment, crc=crc) * members
    assert digested(cut(body, size)).uncompressed == sha256(b"tar" * members)


def test_a_gzip_header_with_the_longest_extra_field_and_a_long_name_is_read() -> None:
    body = with_header(gzip.compress(b"tar"), bytes(65_535), "n" * 70_000, None, crc=True)
    assert tar_inside(body) == sha256(b"tar")


def test_a_gzip_header_longer_than_any_real_one_is_not_collected() -> None:
    assert tar_inside(with_header(gzip.compress(b"tar"), None, "n" * 400_000, None, crc=False)) is None


def with_header(plain: bytes, extra: bytes | None, name: str | None, comment: str | None, *, crc: bool) -> bytes:
    """`plain` is gzip without optional fields; RFC 1952, 2.3."""
    texts = [(8, name), (16, comment)]
    flags = 2 * crc + (4 if extra is not None else 0) + sum(flag for flag, text in texts if text is not None)
    header = plain[:3] + bytes([flags]) + plain[4:10]
    if extra is not None:
        header += len(extra).to_bytes(2, "little") + extra
    header += b"".join(text.encode() + b"\0" for _, text in texts if text is not None)
    if crc:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + plain[10:]


def test_a_plain_tar_is_its_own_inside() -> None:
    tar = bodies.tar(motd=b"hello")
    assert digested(cut(tar, 100)).uncompressed == sha256(tar)


def test_the_empty_tar_is_a_tar() -> None:
    assert tar_inside(bytes(1024)) == sha256(bytes(1024))


@pytest.mark.parametrize("body", [b"", bytes(511), b"\x28\xb5\x2f\xfd zstd", zlib.compress(b"x"), b"text" * 999])
def test_what_is_neither_tar_nor_compressed_has_no_inside(body: bytes) -> None:
    assert tar_inside(body) is None


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_inflating_stops_beyond_the_cap_and_not_at_it(pack: Callable[[bytes], bytes]) -> None:
    content = bytes(5 * MIB)
    assert tar_inside(pack(content), max_inflated=5 * MIB) == sha256(content)
    assert tar_inside(pack(content), max_inflated=5 * MIB - 1) is None


def test_a_plain_tar_beyond_the_cap_has_no_inside() -> None:
    assert tar_inside(bytes(1024), max_inflated=1023) is None


def test_an_xz_dictionary_that_needs_too_much_memory_is_not_allocated() -> None:
    wide = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 64 * MIB}]
    assert tar_inside(lzma.compress(b"tar", filters=wide)) is None


def test_leaving_early_ends_the_thread_at_once() -> None:
    bomb = bodies.gzip_of_zeros(4 * GIB)
    begin = time.process_time()
    with Digester(PREFIX, 4 * GIB) as digester:
        digester.update(bomb)
    assert time.process_time() - begin < 1


def test_ten_gibibytes_of_zeros_are_given_up_at_the_cap_in_little_memory() -> None:
    bomb = cut(bodies.gzip_of_zeros(10 * GIB), MIB)
    before = _reset_peak()
    assert digested(bomb, max_inflated=GIB).uncompressed is None
    assert _memory("VmHWM") - before < 16 * MIB


def test_a_mebibyte_that_inflates_to_a_gibibyte_needs_little_memory() -> None:
    bomb = bodies.gzip_of_zeros(GIB)
    before = _reset_peak()
    assert digested([bomb]).uncompressed == Digest.sha256(
        "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"
    )
    assert _memory("VmHWM") - before < 16 * MIB


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    """Bytes, of this process."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) << 10
