"""A Space that tries to harm others is refused, wherever its code runs, at each level that this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from spaces_workers.sandbox.description import Level
from spaces_workers.sandbox.level import problem_of
from tests.hostile.farms import PLACES, HostileFarm, Outcomes, attempts, hostile_farm
from tests.hostile.machine import need_limits, need_mapped_owners

ATTEMPTS, LIMITS, HOPELESS = attempts()

LEVELS = [level for level in Level if level is not Level.NONE]


#: What docs/isolation.md does not promise.
OPEN = {
    Level.USERS: set[str](),
    Level.NAMESPACES: {"read_a_payload_of_others", "list_the_payloads_of_others"},
}


#: Of the farm's own, in each process of a Space.
VARIABLES = {
    "ZEROFARM_ROLE",
    "ZEROFARM_SPACE",
    "ZEROFARM_SPACE_KEY",
    "ZEROFARM_RUN_DIR",
    "ZEROFARM_HOST",
    "ZEROFARM_COMPILED_DIR",
    "ZEROFARM_STARTED_BY",
    "ZEROFARM_PAGE_SOCKET",
}


@pytest.fixture(scope="module", params=LEVELS)
def level(request: pytest.FixtureRequest) -> Level:
    found: Level = request.param
    if problem := problem_of(found):
        pytest.skip(f"this machine has no level {found}: {problem}")
    return found


@pytest.fixture(scope="module")
def enclosed(level: Level, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileFarm]:
    with hostile_farm(tmp_path_factory.mktemp(level), level) as made:
        yield made


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileFarm]:
    with hostile_farm(tmp_path_factory.mktemp("none"), Level.NONE) as made:
        yield made


@cache
def outcomes(farm: HostileFarm, place: str) -> Outcomes:
    return farm.outcomes(place)


@pytest.mark.parametrize("attempt", [*ATTEMPTS, *HOPELESS])
@pytest.mark.parametrize("place", PLACES)
def test_what_would_harm_others_is_refused(enclosed: HostileFarm, place: str, attempt: str) -> None:
    refused, words = outcomes(enclosed, place)[attempt]
    assert refused or attempt in OPEN[enclosed.level], words


@pytest.mark.parametrize("place", ["page", "gpu"])
def test_a_space_has_only_the_variables_of_the_farm_that_it_needs(free: HostileFarm, place: str) -> None:
    found = {name for name in free.variables(place) if name.startswith("ZEROFARM_")}
    of_page = (
        {"ZEROFARM_URL", "ZEROFARM_PAGE", "ZEROFARM_DOOR", "ZEROFARM_FOLLOWS_LOG", "ZEROFARM_KEEP_FILES"}
        if place == "page"
        else set[str]()
    )
    assert found <= VARIABLES | of_page


@pytest.mark.parametrize("attempt", LIMITS)
def test_a_space_cannot_take_more_than_its_limits(enclosed: HostileFarm, attempt: str, tmp_path: Path) -> None:
    need_limits(tmp_path)
    if enclosed.level is Level.USERS:
        need_mapped_owners(tmp_path)
    refused, words = enclosed.limits[attempt]
    assert refused, words


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_without_separation_the_same_attempts_succeed(free: HostileFarm, attempt: str) -> None:
    refused, words = outcomes(free, "gpu")[attempt]
    assert not refused, words


@pytest.mark.parametrize("attempt", HOPELESS)
@pytest.mark.parametrize("place", ["page", "gpu"])
def test_broker_and_gateway_refuse_without_separation_too(free: HostileFarm, place: str, attempt: str) -> None:
    refused, words = outcomes(free, place)[attempt]
    assert refused, words
    assert "not tried" not in words


@pytest.mark.parametrize("attempt", LIMITS)
def test_without_separation_nothing_has_limits(free: HostileFarm, attempt: str) -> None:
    refused, words = free.limits[attempt]
    assert not refused, words
