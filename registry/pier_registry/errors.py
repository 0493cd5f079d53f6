"""Everything that can be refused, as one tree; drawn here, rendered at the doors.

    PierError
    ├── Invalid 400            the request itself is wrong
    │   ├── NameInvalid, NameReserved, TagInvalid, DigestInvalid
    │   ├── JsonInvalid, ImageJsonInvalid, ChecksumMismatch, ChecksumMissing, SizeInvalid, PageInvalid
    │   ├── ImageIncomplete    v1: still being uploaded
    │   ├── ManifestInvalid, BlobsMissing, ContentWrong
    │   └── LimitExceeded
    ├── Unauthorized 401 · Denied 403 · TooManyRequests 429
    ├── Unknown 404            RepositoryUnknown, TagUnknown, ImageUnknown, ImageIdInvalid, LayerUnknown, RouteUnknown,
    │                          ManifestUnknown, UploadUnknown
    ├── Unsupported 405 · Conflict 409 (ImageExists, ImageTaken, ChecksumSet, UploadBusy) · ChecksumAbsent 412
    ├── TooLarge 413 · RangeInvalid 416 (OffsetWrong)
    ├── Unavailable 503        Busy, DiskFull, SchemaMismatch
    └── Misconfigured          the operator's settings or files; ends the program with its sentence

`message` says what is wrong and how to mend it. `v1_text` is the exact string that old clients read
(docs/v1.md); without one, v1 shows the message. `code` is the OCI error code.
"""

from __future__ import annotations


class PierError(Exception):
    status = 500
    code = "UNKNOWN"

    def __init__(self, message: str, *, v1_text: str | None = None, detail: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.v1_text = v1_text or message
        self.detail = detail

    def headers(self) -> dict[str, str]:
        return {}

    def entries(self) -> list[dict[str, object]]:
        """The error list of an OCI answer."""
        return [{"code": self.code, "message": self.message, "detail": self.detail}]


class Invalid(PierError):
    status = 400
    code = "UNSUPPORTED"


class NameInvalid(Invalid):
    code = "NAME_INVALID"

    def __init__(self, name: str) -> None:
        super().__init__(
            "invalid repository name: use lower-case letters and digits, joined by '.', '_', '-' or '/', "
            "at most 200 characters",
            detail={"name": name[:300]},
        )


class NameReserved(Invalid):
    code = "NAME_INVALID"

    def __init__(self, name: str) -> None:
        super().__init__(
            "invalid repository name: v1 cannot reach a name that ends in images, tags, json, auth or properties",
            detail={"name": name[:300]},
        )


class TagInvalid(Invalid):
    code = "TAG_INVALID"

    def __init__(self, tag: str) -> None:
        super().__init__(
            "invalid tag name: use 1 to 128 letters, digits, '_', '.' or '-', led by a letter, digit or '_'",
            v1_text="Invalid tag name (must match [A-Za-z0-9_][A-Za-z0-9_.-]{0,127})",
            detail={"tag": tag[:300]},
        )


class DigestInvalid(Invalid):
    code = "DIGEST_INVALID"

    def __init__(self, digest: str) -> None:
        super().__init__(
            "invalid digest: it must be sha256 with 64 or sha512 with 128 lower-case hex digits",
            detail={"digest": digest[:300]},
        )


class JsonInvalid(Invalid):
    """The body is not the JSON that the route takes."""


class ImageJsonInvalid(Invalid):
    """A v1 image json that cannot be stored; the text is the original registry's."""


class ChecksumMismatch(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "checksum mismatch: no uploaded layer of this image has that payload checksum; upload the layer again",
            v1_text="Checksum mismatch",
        )


class ChecksumMissing(Invalid):
    def __init__(self) -> None:
        super().__init__("the header X-Docker-Checksum-Payload is empty", v1_text="Missing Image's checksum")


class SizeInvalid(Invalid):
    code = "SIZE_INVALID"

    def __init__(self, received: int, announced: int) -> None:
        super().__init__(
            f"the body ended after {received} of {announced} bytes: send it again",
            detail={"received": received, "announced": announced},
        )


class PageInvalid(Invalid):
    code = "PAGINATION_NUMBER_INVALID"

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name} must be a whole number that is not negative", detail={name: value[:100]})


class ImageIncomplete(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "the image is still being uploaded: try again later",
            v1_text="Image is being uploaded, retry later",
        )


class ManifestInvalid(Invalid):
    """The document is none, or says two things at once; clients then try another format, so nothing else is this."""

    code = "MANIFEST_INVALID"


class BlobsMissing(Invalid):
    """A manifest names blobs or manifests that its repository does not hold: one entry each."""

    code = "MANIFEST_BLOB_UNKNOWN"

    def __init__(self, digests: list[str]) -> None:
        super().__init__("the repository lacks what the manifest names: push it first, then the manifest again")
        self.digests = digests

    def entries(self) -> list[dict[str, object]]:
        return [
            {"code": self.code, "message": f"{self.message} ({digest})", "detail": {"digest": digest}}
            for digest in self.digests
        ]


class ContentWrong(Invalid):
    """The bytes are not those that the digest names."""

    code = "DIGEST_INVALID"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(
            "the content does not have the digest that was named: push it again",
            detail={"digest": expected, "found": found},
        )


class LimitExceeded(Invalid):
    """A count or depth over a limit of docs/settings.md; the message names the setting."""


class Unauthorized(PierError):
    """`challenge` is how to log in: with a password, or where v2 clients get a token."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, challenge: str = 'Basic realm="Pier"') -> None:
        super().__init__("log in: this registry needs a user name and a password", v1_text="Requires authorization")
        self.challenge = challenge

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": self.challenge}


class Denied(PierError):
    status = 403
    code = "DENIED"

    def __init__(self, verb: str, repository: str | None = None) -> None:
        what = f"on {repository}" if repository else "here"
        super().__init__(f"your user lacks the right to {verb} {what}: ask an admin of this registry")


class TooManyRequests(PierError):
    status = 429
    code = "TOOMANYREQUESTS"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Unknown(PierError):
    status = 404


class RepositoryUnknown(Unknown):
    code = "NAME_UNKNOWN"

    def __init__(self, repository: str, v1_text: str = "Repository not found") -> None:
        super().__init__(
            "this registry has no such repository, or you may not see it",
            v1_text=v1_text,
            detail={"name": repository},
        )


class TagUnknown(Unknown):
    code = "MANIFEST_UNKNOWN"

    def __init__(self, repository: str, tag: str, v1_text: str = "Tag not found") -> None:
        super().__init__(f"{repository} has no tag {tag}", v1_text=v1_text, detail={"tag": tag})


class ImageUnknown(Unknown):
    def __init__(self) -> None:
        super().__init__("this registry has no such image, or you may not see it", v1_text="Image not found")


class ImageIdInvalid(Unknown):
    def __init__(self, image_id: str) -> None:
        super().__init__(
            "invalid image id: it must be 64 (or 16) lower-case hex digits",
            v1_text="Invalid image ID",
            detail={"id": image_id[:200]},
        )


class LayerUnknown(Unknown):
    code = "BLOB_UNKNOWN"

    def __init__(self, digest: str) -> None:
        super().__init__("this registry has no such layer, or you may not see it", detail={"digest": digest})


class ManifestUnknown(Unknown):
    code = "MANIFEST_UNKNOWN"

    def __init__(self, repository: str, reference: str) -> None:
        super().__init__(f"{repository} has no manifest {reference}", detail={"reference": reference})


class UploadUnknown(Unknown):
    code = "BLOB_UPLOAD_UNKNOWN"

    def __init__(self) -> None:
        super().__init__("there is no such upload of yours in this repository: begin a new one")


class RouteUnknown(Unknown):
    code = "UNSUPPORTED"

    def __init__(self, message: str = "there is nothing at this address") -> None:
        super().__init__(message)


class Unsupported(PierError):
    status = 405
    code = "UNSUPPORTED"

    def __init__(self, message: str, allow: str | None = None) -> None:
        super().__init__(message)
        self.allow = allow

    def headers(self) -> dict[str, str]:
        return {"Allow": self.allow} if self.allow else {}


class Conflict(PierError):
    status = 409


class ImageExists(Conflict):
    """Old clients read this exact text as "skip the upload"; it is said only of images the caller may use."""

    def __init__(self) -> None:
        super().__init__("Image already exists")


class ImageTaken(Conflict):
    """The id names other content elsewhere. Never the text of ImageExists: that would poison the push."""

    def __init__(self) -> None:
        super().__init__("this image id is already used for different content: rebuild the image to get a new id")


class ChecksumSet(Conflict):
    def __init__(self) -> None:
        super().__init__("the image is complete already", v1_text="Cannot set this image checksum")


class UploadBusy(Conflict):
    code = "BLOB_UPLOAD_INVALID"

    def __init__(self) -> None:
        super().__init__("another request writes to this upload: ask for its state, then go on from there")


class ChecksumAbsent(PierError):
    status = 412

    def __init__(self) -> None:
        super().__init__("send the header X-Docker-Checksum-Payload: docker 0.9 and newer do")


class TooLarge(PierError):
    status = 413
    code = "SIZE_INVALID"


class RangeInvalid(PierError):
    """`told` are the headers that say what there is."""

    status = 416
    code = "RANGE_INVALID"

    def __init__(self, message: str, told: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.told = told or {}

    def headers(self) -> dict[str, str]:
        return self.told


class OffsetWrong(RangeInvalid):
    """`size` is where the upload goes on."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the upload has {size} bytes: go on from there")
        self.size = size


class Unavailable(PierError):
    status = 503
    code = "UNAVAILABLE"
    retry_after = 5

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Busy(Unavailable):
    """The database or another request holds what this one needs."""


class DiskFull(Unavailable):
    retry_after = 60

    def __init__(self, message: str = "the registry's disk is full: delete tags to free space") -> None:
        super().__init__(message)


class SchemaMismatch(Unavailable):
    """The database's schema is not the one this version works on."""


class Misconfigured(PierError):
    """Settings or files that nobody could serve with; never an answer to a request."""
