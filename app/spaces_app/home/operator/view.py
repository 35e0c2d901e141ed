"""The content of the operator's page at one moment, beyond the farm's status: ranks, history, quotas, actions.

Visitors are named as `[privacy]` in `farm.toml` says, and shortened at least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from spaces.farm.farm_status import FarmStatus
from spaces.farm.links.retrying import retryable
from spaces.farm.queue import settings
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.counters.bounds import HISTORY
from spaces.farm.queue.counters.history import Facts, read_history
from spaces.farm.queue.counters.ranks import Rank, read_ranks
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.quota import Standing

#: Ended tasks that are sent with each view; a search looks at all that are remembered.
LATEST = 40

#: Actions and visitors that are shown.
ACTIONS, VISITORS = 20, 50

#: A name of a visitor is cut after so many characters.
LONGEST_NAME = 18


@dataclass(frozen=True, slots=True)
class View:
    """The farm as an operator sees it."""

    status: FarmStatus
    ranks: dict[str, Rank]  #: of tasks that wait or run, by id
    history: list[Facts]  #: the latest, the last first
    pinned_by_file: list[str]  #: Spaces that `farm.toml` pins; others are pinned by operators
    retryable: list[str]  #: ids of failed tasks whose arguments are still there
    swaps: dict[str, int]  #: cold starts of each worker in the last hour
    quotas: list[Standing]
    actions: list[Action]


def read_view(queue: Queue, status: FarmStatus) -> View:
    """The view of this moment. Raises redis's errors."""
    under_way = [task.id for task in status.tasks if task.ended_at is None]
    ranks = read_ranks(queue.redis, queue.keys, under_way)
    history = read_history(queue.redis, queue.keys, HISTORY)
    return View(
        status=status,
        ranks={task: replace(rank, visitor=shown(rank.visitor)) for task, rank in ranks.items()},
        history=[_without_traceback(each) for each in history[:LATEST]],
        pinned_by_file=[name for name, rules in settings.latest().spaces.items() if rules.pin],
        retryable=retryable(queue),
        swaps=dict(Counter(each.worker for each in history if _is_recent_swap(each, status.now))),
        quotas=[replace(each, visitor=shown(each.visitor)) for each in queue.ledger.all()[:VISITORS]],
        actions=Audit(queue.redis, queue.keys).latest(ACTIONS),
    )


def as_json(view: View) -> dict[str, Any]:  # Any: JSON
    """The view for the page; times of a task are spans there."""
    return asdict(replace(view, history=[])) | {"history": [task_as_json(each) for each in view.history]}


def task_as_json(facts: Facts) -> dict[str, Any]:  # Any: JSON
    """An ended task."""
    return asdict(facts) | {"wait": facts.wait, "overhead": facts.overhead}


def search(history: Sequence[Facts], words: str) -> list[Facts]:
    """The tasks that have each of these words in their names, states, workers or errors."""
    found = [each for each in history if all(word in _text_of(each) for word in words.lower().split())]
    return [_without_traceback(each) for each in found[: 5 * LATEST]]


def shown(visitor: str, privacy: Callable[[str], str] | None = None) -> str:
    """The name of a visitor on the page."""
    name = (privacy or settings.current().privacy.shown)(visitor)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _text_of(facts: Facts) -> str:
    parts = (facts.id, facts.label, facts.state, facts.worker, facts.visitor, facts.error, facts.reason)
    return " ".join(parts).lower()


def _without_traceback(facts: Facts) -> Facts:
    return replace(facts, visitor=shown(facts.visitor), traceback="yes" if facts.traceback else "")


def _is_recent_swap(facts: Facts, now: float) -> bool:
    return facts.is_cold and facts.ended_at > now - 3600
