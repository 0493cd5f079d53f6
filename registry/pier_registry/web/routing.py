"""URL converters: a path segment becomes a value type, or its one error, before any handler runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from pier_registry.errors import ManifestUnknown, PierError, TagInvalid
from pier_registry.names import Digest, RepositoryName, TagName, parse_image_id, parse_reference, parse_tag


class Refused(HTTPException):
    """A PierError on its way out of the router, which only lets HTTPException pass."""

    def __init__(self, error: PierError) -> None:
        super().__init__(error.message)
        self.code = error.status
        self.error = error


class _Parsed(BaseConverter):
    """`parse` is the value type's own parser."""

    parse: Callable[[str], Any]

    def to_python(self, value: str) -> Any:
        try:
            return type(self).parse(value)
        except PierError as error:
            raise Refused(error) from error

    def to_url(self, value: Any) -> str:
        return str(value)


class _Slashed(_Parsed):
    part_isolating = False
    regex = r"(?s:.+?)"
    weight = 200


class RepositoryConverter(_Slashed):
    parse = RepositoryName.parse


class V1RepositoryConverter(_Slashed):
    parse = RepositoryName.parse_v1


class TagConverter(_Parsed):
    parse = staticmethod(parse_tag)


class ImageIdConverter(_Parsed):
    parse = staticmethod(parse_image_id)


class DigestConverter(_Parsed):
    parse = Digest.parse


class ReferenceConverter(_Parsed):
    parse = staticmethod(parse_reference)


class KnownReferenceConverter(_Parsed):
    """Of something to be read or deleted: what no manifest can be called is unknown, says the OCI suite."""

    @staticmethod
    def parse(text: str) -> Digest | TagName:
        try:
            return parse_reference(text)
        except TagInvalid:
            raise ManifestUnknown("this repository", text[:200]) from None


def install(app: Flask) -> None:
    """No redirects: a redirected PUT or a streamed body cannot be sent again."""
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters |= {
        "repository": RepositoryConverter,
        "v1repository": V1RepositoryConverter,
        "tag": TagConverter,
        "image": ImageIdConverter,
        "digest": DigestConverter,
        "reference": ReferenceConverter,
        "known": KnownReferenceConverter,
    }
