"""Histories that Hypothesis makes up: v2 pushes, indexes, referrers and their ends against the model of `oci_model`."""

from __future__ import annotations

from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.registry.counting.conftest import Place
from tests.registry.counting.oci_model import Histories

EXAMPLES = {"sqlite": 14, "mariadb": 5}


@pytest.mark.parametrize("place", ["sqlite", "mariadb"], indirect=True)
def test_any_history_of_pushes_retags_deletes_and_crashes_keeps_counts_referrers_and_promises_true(
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
