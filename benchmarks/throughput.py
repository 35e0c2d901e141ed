"""How many tasks a second are pushed, claimed and acknowledged, beside kombu's own transport for Redis?

`python -m benchmarks.throughput`. Both go through kombu with the same message, in turns, each on a broker of its own.
"""

from __future__ import annotations

from statistics import median

from benchmarks.scale.brokers import url_of, volatile_broker
from benchmarks.scale.messaging import Messaging, Ours, Stock

ROUNDS, TASKS = 30, 300
LEAST_RATIO = 1.0


def main() -> None:
    """One line each for push, claim and acknowledge."""
    with volatile_broker() as broker, volatile_broker() as peers_broker:
        sides: dict[str, Messaging] = {"ours": Ours(url_of(broker)), "kombu": Stock(url_of(peers_broker))}
        rounds = [{name: side.round(TASKS) for name, side in sides.items()} for _ in range(ROUNDS + 1)][1:]
        for side in sides.values():
            side.close()
    for move in ("push", "claim", "acknowledge"):
        ours, theirs = (TASKS / median(each[name][move] for each in rounds) for name in sides)
        ratio = median(each["kombu"][move] / each["ours"][move] for each in rounds)
        verdict = "within" if ratio >= LEAST_RATIO else "UNDER"
        print(f"{move}: {ours:,.0f}/s, kombu's {theirs:,.0f}/s, ratio {ratio:.2f} ({verdict} the budget of at least 1)")


if __name__ == "__main__":
    main()
