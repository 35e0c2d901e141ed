"""Requests as a farm of ZeroGPU's Spaces would get them: what their functions declare, take, and how they arrive.

What is declared comes from a count of 282 GPU functions in 175 public Spaces. What they take, and who presses which
button when, nobody publishes: those are assumptions, and each stands below as a constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from spaces.functions.duration import DEFAULT_DURATION

#: Work that arrives in a second, as a part of what the GPUs can do in it.
LOADS = {"light": 0.3, "busy": 0.7, "full": 0.9, "overload": 1.2}

#: How many functions declare a duration from the first to the second number of seconds.
CONSTANTS = {(10, 30): 6, (31, 60): 13, (61, 119): 16, (120, 120): 41, (121, 180): 10, (181, 300): 15, (1500, 1500): 3}
UNDECLARED = 163
CALLABLES = 16

#: A callable duration knows the size of the job: the smallest answer times one of these. What it takes grows alike.
JOB_SIZES = (1.0, 2.0, 4.0, 8.0)

#: The part of the declared time that a call takes: median over the functions, and sigma of its logarithm.
#: Who declares nothing has mostly a short function, who declares a constant adds reserve, who computes it adds less.
PART_UNDECLARED = (0.07, 1.2)
PART_CONSTANT = (0.2, 0.9)
PART_CALLABLE = (0.5, 0.3)

#: Least and greatest sigma of the logarithm of what the calls of one function take.
SPREADS = (0.1, 0.9)

#: The k-th most popular function is called as often as the first one divided by k to the power of this.
POPULARITY = 0.8

#: Who declares more than this compiles once at the start of a Space, and is called so many times less often.
STARTUP = 600.0
STARTUP_RARITY = 50.0

#: The part of the functions that change once, at a random moment: a new version, another model. Sigma of the logarithm
#: of what the calls take after it, compared with before.
CHANGES = 0.25
CHANGE = 1.0

#: The part of the visits that bring more requests of the same function (a row of examples, a loop over the API), how
#: many on average, and within how many seconds.
BURSTS = 0.05
BURST_LENGTH = 8
BURST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Request:
    """One task of a trace."""

    at: float  #: when it is made, in seconds since the start
    function: int
    declared: float  #: seconds that it may take
    seconds: float  #: seconds that it takes; nobody may look before its end


@dataclass(frozen=True, slots=True)
class Function:
    """How the calls of one function are distributed."""

    declared: float  #: for its smallest job
    typical: float  #: median seconds of its smallest job
    spread: float
    job_sizes: tuple[float, ...]
    changes_at: float  #: when it changes, as a part of the trace; after its end: never
    change: float  #: how many times as long it takes from then on

    def call(self, moment: float, random: Random) -> tuple[float, float]:
        """Declared and real seconds; the time limit cuts what would take longer."""
        size = random.choice(self.job_sizes)
        change = self.change if moment > self.changes_at else 1.0
        seconds = self.typical * size * change * math.exp(random.gauss(0.0, self.spread))
        return self.declared * size, min(seconds, self.declared * size)


def make_trace(load: float, count: int, seed: int, gpus: int = 4) -> list[Request]:
    """`count` requests in the order of their arrival, whose work is `load` times what the GPUs can do meanwhile.

    Visits are a Poisson process; some of them are bursts.
    """
    random = Random(seed)
    functions = make_functions(random)
    visits = _visits(functions, count, random)
    calls = [[functions[number].call(moment, random) for _ in range(length)] for moment, number, length in visits]
    span = sum(seconds for visit in calls for _, seconds in visit) / (load * gpus)
    trace = []
    for (moment, number, _), visit in zip(visits, calls, strict=True):
        at = moment * span
        for declared, seconds in visit:
            trace.append(Request(at, number, declared, seconds))
            at += random.expovariate(BURST_LENGTH / BURST_SECONDS)
    return sorted(trace, key=lambda request: request.at)


def make_functions(random: Random) -> list[Function]:
    """As many functions as were counted, of each kind as many as were counted, the most popular one first."""
    functions = [_function(DEFAULT_DURATION, PART_UNDECLARED, random) for _ in range(UNDECLARED)]
    for (shortest, longest), number in CONSTANTS.items():
        functions += [_function(random.randint(shortest, longest), PART_CONSTANT, random) for _ in range(number)]
    for _ in range(CALLABLES):
        smallest = round(math.exp(random.uniform(math.log(5), math.log(60))))
        functions.append(_function(smallest, PART_CALLABLE, random, JOB_SIZES))
    random.shuffle(functions)
    return functions


def _function(
    declared: float, part: tuple[float, float], random: Random, job_sizes: tuple[float, ...] = (1.0,)
) -> Function:
    typical = declared * min(part[0] * math.exp(random.gauss(0.0, part[1])), 1.0)
    changes_at = random.uniform(0.0, 1.0 / CHANGES)
    return Function(
        declared, typical, random.uniform(*SPREADS), job_sizes, changes_at, math.exp(random.gauss(0.0, CHANGE))
    )


def _visits(functions: list[Function], count: int, random: Random) -> list[tuple[float, int, int]]:
    """Moment (as a part of the trace), function and number of calls of each visit; `count` calls in all."""
    weights = [_popularity(function, place) for place, function in enumerate(functions, 1)]
    visits = []
    left = count
    while left:
        number = random.choices(range(len(functions)), weights)[0]
        length = min(left, _length(random))
        visits.append((random.random(), number, length))
        left -= length
    return visits


def _popularity(function: Function, place: int) -> float:
    return math.pow(place, -POPULARITY) / (STARTUP_RARITY if function.declared > STARTUP else 1.0)


def _length(random: Random) -> int:
    return 1 + round(random.expovariate(1 / BURST_LENGTH)) if random.random() < BURSTS else 1
