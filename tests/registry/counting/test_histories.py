"""Histories that Hypothesis makes up: retags, cascades and receipts against the model of `model.py`."""

from __future__ import annotations

from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.registry.counting.conftest import Place
from tests.registry.counting.model import Histories

EXAMPLES = {"sqlite": 22, "mariadb": 5}


@pytest.mark.parametrize("place", ["sqlite", "mariadb"], indirect=True)
def test_any_history_of_pushes_retags_cascades_and_crashes_keeps_counts_and_receipts_true(
    place: Place, request: pytest.FixtureRequest
) -> None:
    registry = place.open()
    run_state_machine_as_test(
        cast(type[Histories], partial(Histories, registry)),
        settings=settings(
            max_examples=EXAMPLES[request.node.callspec.params["place"]],
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
