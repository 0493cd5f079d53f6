"""Kubernetes quantities, to compare two ways of writing one amount."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_UNITS: Final = {
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("", "k", "M", "G", "T", "P"))},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)},
}


def amount(text: str) -> Decimal | None:
    """None for what is no quantity."""
    found = _QUANTITY.fullmatch(text)
    return Decimal(found[1]) * _UNITS[found[2] or ""] if found else None
