"""Layer bodies: rewritten tar, gzip, tarsum; and how a pulled layer is looked into."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.itself.conftest import tar
from tests.clients.v1_layer import Inflated, LayerBody
from tests.clients.v1_wire import ClientError

MIB = 1 << 20
MOTD = "namemotdmode420uid0gid0size5mtime1400000000typeflag0linknameunamegnamedevmajor0devminor0hello"


def packed(body: LayerBody) -> bytes:
    return b"".join(body)


def tarsum(layer: bytes, json: bytes = b"{}") -> str:
    body = LayerBody(json, layer)
    packed(body)
    return body.sent.tarsum


def hexed(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def archive(*members: tuple[tarfile.TarInfo, bytes], pax: bool = False) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) as written:
        for member, content in members:
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


def test_the_body_is_gzip_of_the_same_members() -> None:
    body = packed(LayerBody(b"{}", tar(motd=b"hello", issue=b"world" * 1000)))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(body))) as read:
        assert [(entry.name, entry.size) for entry in read] == [("motd", 5), ("issue", 5000)]


def test_the_body_starts_with_the_gzip_header_of_old_go() -> None:
    assert packed(LayerBody(b"{}", tar(motd=b"hello")))[:10].hex() == "1f8b080000096e8800ff"


def test_padding_after_the_end_of_the_tar_is_not_sent() -> None:
    layer = tar(motd=b"hello")
    sent = gzip.decompress(packed(LayerBody(b"{}", layer)))
    assert (len(layer), len(sent), sent) == (10240, 512 + 512 + 1024, layer[:2048])


@pytest.mark.parametrize("layer", [bytes(1024), b""])
def test_a_tar_without_members_becomes_two_empty_blocks(layer: bytes) -> None:
    body = LayerBody(b"{}", layer)
    assert gzip.decompress(packed(body)) == bytes(1024)
    assert body.sent.tarsum == f"tarsum+sha256:{hexed(b'{}')}"


def test_the_payload_checksum_covers_json_newline_and_the_compressed_body() -> None:
    body = LayerBody(b'{"id": 1}', tar(motd=b"hello"))
    data = packed(body)
    assert body.sent.payload == "sha256:" + hexed(b'{"id": 1}\n', data)


def test_size_and_both_hashes_are_those_of_the_body() -> None:
    body = LayerBody(b"{}", tar(motd=b"hello"))
    data = packed(body)
    told = (body.sent.size, body.sent.sha256, body.sent.uncompressed_sha256)
    assert told == (len(data), hexed(data), hexed(gzip.decompress(data)))


def test_a_tarsum_covers_the_header_fields_the_content_and_the_json() -> None:
    assert tarsum(tar(motd=b"hello")) == f"tarsum+sha256:{hexed(b'{}', hexed(MOTD.encode()).encode())}"


def test_a_tarsum_sorts_its_members_by_their_sums() -> None:
    one, other = {"a": b"1"}, {"b": b"2"}
    assert tarsum(tar(**one, **other)) == tarsum(tar(**other, **one))


def test_a_tarsum_keeps_the_order_of_two_members_of_one_path() -> None:
    first, second = (member("a"), b"1"), (member("a"), b"2")
    assert tarsum(archive(first, second)) != tarsum(archive(second, first))


def test_a_directory_counts_with_its_slash() -> None:
    text = b"nameetc/mode420uid0gid0size0mtime0typeflag5linknameunamegnamedevmajor0devminor0"
    layer = archive((member("etc", tarfile.DIRTYPE), b""))
    assert tarsum(layer) == f"tarsum+sha256:{hexed(b'{}', hexed(text).encode())}"


@pytest.mark.parametrize("pax", [False, True])
def test_a_long_name_counts_whole(pax: bool) -> None:
    name = "d/" * 80 + "file-é"
    text = f"name{name}mode420uid0gid0size2mtime0typeflag0linknameunamegnamedevmajor0devminor0hi"
    layer = archive((member(name), b"hi"), pax=pax)
    assert tarsum(layer) == f"tarsum+sha256:{hexed(b'{}', hexed(text.encode()).encode())}"


def test_a_hard_link_has_no_content() -> None:
    link = member("link", tarfile.LNKTYPE)
    link.linkname = "motd"
    sent = gzip.decompress(packed(LayerBody(b"{}", archive((member("motd"), b"hello"), (link, b"")))))
    with tarfile.open(fileobj=io.BytesIO(sent)) as read:
        assert [entry.name for entry in read] == ["motd", "link"]


def test_a_tar_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ClientError, match="cut short"):
        packed(LayerBody(b"{}", tar(motd=b"hello" * 1000)[:2000]))


def test_a_large_layer_passes_through_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    with path.open("wb") as file:
        entry = member("big")
        entry.size = 64 * MIB
        file.write(entry.tobuf())
        file.truncate(512 + 64 * MIB + 1024)
    tracemalloc.start()
    sent = sum(len(piece) for piece in LayerBody(b"{}", path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 0
    assert peak < 2 * MIB


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
@pytest.mark.parametrize("step", [1, 5, 1 << 16])
def test_compression_is_told_by_the_first_bytes(compress: Callable[[bytes], bytes], step: int) -> None:
    plain = tar(motd=b"hello" * 500)
    data, inflated = compress(plain), Inflated()
    for start in range(0, len(data), step):
        inflated.update(data[start : start + step])
    assert inflated.hexdigest() == hexed(plain)


def test_a_compressed_layer_that_stops_half_way_is_refused() -> None:
    inflated = Inflated()
    inflated.update(gzip.compress(tar(motd=b"hello"))[:-9])
    with pytest.raises(ClientError, match="unexpected EOF"):
        inflated.hexdigest()


@pytest.mark.parametrize("damage", [slice(20, 24), slice(-8, -4)])
def test_a_damaged_layer_is_refused(damage: slice) -> None:
    data = bytearray(gzip.compress(tar(motd=b"hello" * 500)))
    data[damage] = b"\xff\xff\xff\xff"
    with pytest.raises(ClientError, match="Untar error"):
        Inflated().update(bytes(data))


def test_bytes_after_the_compressed_layer_are_refused() -> None:
    with pytest.raises(ClientError, match="follow the end"):
        Inflated().update(gzip.compress(tar(motd=b"hello")) + b"more")
