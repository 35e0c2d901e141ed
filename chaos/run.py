"""One run: a load of calls, and faults one after the other, or two at once, in the order of the seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.callers import Callers
from chaos.calls import Call, Function, How
from chaos.farm import Farm
from chaos.faults import Fault, faults
from chaos.peer import Peer, PeerCallers

#: Calls that begin in a second.
RATE = 5.0

#: Seconds that a fault lasts at most, and the least and the most between two faults.
LONGEST, BETWEEN = 7.0, (1.5, 4.0)

#: Share of the faults that come with a second one.
MIXED = 0.25

_HOWS: Sequence[How] = ("page", "page", "program")
_FUNCTIONS: Sequence[Function] = ("work", "work", "stream", "turn")


@dataclass(frozen=True, slots=True)
class Load:
    """The calls of a run, in the order of a seed."""

    seed: int
    calls: int
    rate: float = RATE  #: calls that begin in a second


@dataclass
class Blow:
    """A fault that was made, by the monotonic clock."""

    name: str
    struck_at: float
    healed_at: float = 0.0


@dataclass
class Run:
    """What happened."""

    begun_at: float
    calls: list[Call] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)


async def run(
    farm: Farm | Peer, callers: Callers | PeerCallers, load: Load, only: str = "", longest: float = LONGEST
) -> Run:
    """Make the calls of a load while faults strike; returns when each has its answer, or has none."""
    seed, chance = load.seed, random.Random(load.seed)
    known = {name: fault for name, fault in faults(farm).items() if only in name}
    done = Run(time.monotonic())
    over = asyncio.Event()
    striking = asyncio.create_task(Strikes(farm, known, random.Random(seed), longest, done, over).strike())
    waiting = []
    for number in range(load.calls):
        call = Call(f"{seed}-{number}-{chance.randrange(100)}", *_of(chance))
        done.calls.append(call)
        waiting.append(asyncio.create_task(callers.call(call)))
        await asyncio.sleep(chance.expovariate(load.rate))
    over.set()
    await striking
    await asyncio.gather(*waiting)
    await callers.close()
    return done


def _of(chance: random.Random) -> tuple[How, Function, float]:
    return chance.choice(_HOWS), chance.choice(_FUNCTIONS), chance.choice((0.0, 0.1, 0.5))


@dataclass
class Strikes:
    """The faults of a run: each once, in a random order, and again, until the load is over. Each is healed."""

    farm: Farm | Peer
    known: Mapping[str, Fault]
    chance: random.Random
    longest: float
    done: Run
    over: asyncio.Event

    async def strike(self) -> None:
        names: list[str] = []
        while not self.over.is_set():
            await self._pause(self.chance.uniform(*BETWEEN))
            names = names or self.chance.sample(list(self.known), len(self.known))
            both = [names.pop()]
            if names and self.chance.random() < MIXED and not ("broker" in both[0] and "broker" in names[-1]):
                both.append(names.pop())
            seconds = [self.chance.uniform(self.longest / 7, self.longest) for _ in both]
            await asyncio.gather(*map(self._blow, both, seconds))

    async def _blow(self, name: str, seconds: float) -> None:
        blow = Blow(name, time.monotonic())
        self.done.blows.append(blow)
        context = self.known[name](self.farm, self.chance)
        await asyncio.to_thread(context.__enter__)
        await self._pause(seconds)
        await asyncio.to_thread(context.__exit__, None, None, None)
        blow.healed_at = time.monotonic()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)
