"""When a session of the operator's page is over, and who is sent to the provider again."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request

from spaces_app.home.operator.accounts import Accounts, Operator
from spaces_app.home.operator.guard import Guard
from spaces_app.home.operator.logged_out import LoggedOut
from spaces_workers.setup.operators import set_account
from tests.unit.test_operator_page import Farm

PROVIDED = Operator("ada (subject 1 of id.example)", "operator", "mark", alias="ada")


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    set_account(tmp_path, "ada", "right", "operator")
    return Guard(Accounts(tmp_path), LoggedOut(cast(Any, Farm.queue)), "mark")


def logged_in(guard: Guard, operator: Operator, lasting: float = 60.0) -> Request:
    request = cast(Request, SimpleNamespace(session={}))
    guard.log_in(request, operator, lasting)
    return request


def test_the_provider_is_asked_again_for_somebody_whose_time_is_over(guard: Guard) -> None:
    """A role that was taken at the provider lasted for up to twelve hours; then a person had to ask for the login."""
    request = logged_in(guard, PROVIDED)
    assert guard.session(request) is not None
    request.session["until"] = time.time() - 1
    assert (guard.session(request), guard.may_come_again(request)) == (None, True)


def test_it_is_not_asked_for_somebody_who_has_logged_out(guard: Guard) -> None:
    request = logged_in(guard, PROVIDED)
    copy = cast(Request, SimpleNamespace(session=dict(request.session)))
    guard.log_out(request)
    for each in (request, copy):
        assert (guard.session(each), guard.may_come_again(each)) == (None, False)


def test_it_is_not_asked_after_its_rules_have_changed(guard: Guard, tmp_path: Path) -> None:
    request = logged_in(guard, PROVIDED)
    for mark in ("another", ""):
        after = Guard(Accounts(tmp_path), LoggedOut(cast(Any, Farm.queue)), mark)
        assert (after.session(request), after.may_come_again(request)) == (None, False)


def test_it_is_not_asked_for_somebody_with_a_password(guard: Guard, tmp_path: Path) -> None:
    ada = Accounts(tmp_path).find("ada")
    assert ada is not None
    request = logged_in(guard, ada, lasting=-1.0)
    assert (guard.session(request), guard.may_come_again(request)) == (None, False)
