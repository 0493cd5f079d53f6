"""The words of the protocols as value types: parsed once at the door, trusted below it.

Grammar: OCI distribution-spec 1.1, "Pulling manifests"; Docker Registry v1 for image ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from pier_registry import errors

MAX_REPOSITORY = 200
DEFAULT_NAMESPACE = "library"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", re.ASCII)
_HEX = {"sha256": re.compile(r"[a-f0-9]{64}"), "sha512": re.compile(r"[a-f0-9]{128}")}
_IMAGE_ID = re.compile(r"[a-f0-9]{64}|[a-f0-9]{16}")
_V1_ROUTE_WORDS = frozenset({"images", "tags", "json", "auth", "properties"})

TagName = NewType("TagName", str)
ImageId = NewType("ImageId", str)


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """A repository as stored (`library/app`) and as the request spelt it (`app`)."""

    full: str
    spelt: str

    @classmethod
    def parse(cls, text: str) -> RepositoryName:
        """Raises NameInvalid. One component `foo` is `library/foo`."""
        full = text if "/" in text else f"{DEFAULT_NAMESPACE}/{text}"
        if len(full) > MAX_REPOSITORY or not _REPOSITORY.fullmatch(text):
            raise errors.NameInvalid(text)
        return cls(full, text)

    @classmethod
    def parse_v1(cls, text: str) -> RepositoryName:
        """As `parse`; v1 alone refuses names that end in a word of its own routes."""
        if text.rpartition("/")[2] in _V1_ROUTE_WORDS:
            raise errors.NameReserved(text)
        return cls.parse(text)

    @property
    def short(self) -> str:
        """`app` for `library/app`: the spelling of listings in v2, CLI and JSON API."""
        return self.full.removeprefix(f"{DEFAULT_NAMESPACE}/") if self.full.count("/") == 1 else self.full

    @property
    def namespace(self) -> str:
        return self.full.partition("/")[0]

    def __str__(self) -> str:
        return self.spelt


def parse_tag(text: str) -> TagName:
    """1 to 128 of `[A-Za-z0-9_.-]`, not led by `.` or `-`. Raises TagInvalid."""
    if not _TAG.fullmatch(text):
        raise errors.TagInvalid(text)
    return TagName(text)


def parse_image_id(text: str) -> ImageId:
    """16 or 64 lower-case hex digits. Raises ImageIdInvalid."""
    if not _IMAGE_ID.fullmatch(text):
        raise errors.ImageIdInvalid(text)
    return ImageId(text)


@dataclass(frozen=True, slots=True)
class Digest:
    """`algorithm:encoded`; only sha256 and sha512 name content here."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Raises DigestInvalid for malformed text and unknown algorithms."""
        algorithm, _, encoded = text.partition(":")
        known = _HEX.get(algorithm)
        if not _DIGEST.fullmatch(text) or known is None or not known.fullmatch(encoded):
            raise errors.DigestInvalid(text)
        return cls(algorithm, encoded)

    @classmethod
    def sha256(cls, encoded: str) -> Digest:
        return cls("sha256", encoded)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def layer_path(digest: Digest, generation: str) -> str:
    """`layers/<algorithm>/<2 hex>/<hex>.<generation>`, below the data folder; never used twice."""
    return f"layers/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}.{generation}"


def upload_path(upload: str) -> str:
    return f"uploads/{upload}"


def parse_reference(text: str) -> Digest | TagName:
    """A digest has a colon, and no tag has one. Raises DigestInvalid, TagInvalid."""
    return Digest.parse(text) if ":" in text else parse_tag(text)
