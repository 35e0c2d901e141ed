"""The broker's keys: this file, with `counter_keys.py` and `control_keys.py`, defines every name, type and lifetime.

| key                          | type   | holds                                         | lifetime                     |
|------------------------------|--------|-----------------------------------------------|------------------------------|
| `queue:{size}`               | ZSET   | ids of waiting tasks by score, lowest first   | WAITING after the last push  |
| `queue:{size}:{space}`       | ZSET   | the same tasks, of one Space                  | WAITING after the last push  |
| `bell:{size}`                | LIST   | a token per push; each wakes a worker         | WAITING after oldest token   |
| `task:{id}`                  | HASH   | the task and where it is, see below           | WAITING, then ENDED          |
| `events:{id}`                | STREAM | `e`: packed event, `n`: the attempt that sent | WAITING, then ENDED          |
| `credit:{id}`                | LIST   | a token per YIELDS_PER_CREDIT yields read     | CREDIT after the last token  |
| `workers`                    | ZSET   | workers by the expiry of their lease          | WAITING after the last beat  |
| `worker:{worker}`            | STRING | a worker's description of itself, as JSON     | one lease                    |
| `held:{worker}`              | SET    | ids of the tasks that a worker has claimed    | WAITING after the last claim |
| `idle:{size}`                | ZSET   | idle workers of a size by expiry of the entry | IDLE after the last one      |
| `warmth:{worker}`            | HASH   | Space: an idle worker's seconds to a child    | IDLE, or until it claims     |
| `call:{worker}`              | LIST   | a token; wakes this worker alone              | IDLE, or until it claims     |
| `serving:{size}`             | SET    | live workers that serve a size                | WAITING after the last beat  |
| `arrivals`                   | ZSET   | ids of all waiting tasks by their arrival     | WAITING after the last push  |
| `learned:{space}`            | HASH   | function and step: the duration of its runs   | LEARNED after the last run   |
| `demand`                     | HASH   | Space: how often it was called lately         | LEARNED after the last push  |
| `forecast`                   | STRING | when queued tasks will begin, packed          | about a second               |
| `refused`                    | HASH   | limit: tasks that it refused or ended         | REFUSED after the last one   |
| `counts:{space}`             | HASH   | what became of a Space's tasks; of none: leases | COUNTED after the last one |
| `tally:{node}`               | HASH   | what a worker has done, over its restarts     | COUNTED after the last beat  |
| `reported:{worker}`          | HASH   | the part of it that one process has reported  | WAITING after the last beat  |
| `samples`                    | STREAM | how the farm was, at times of the last day    | COUNTED after the last one   |
| `history`                    | STREAM | the latest ended tasks, about HISTORY of them | COUNTED after the last task  |
| `clients`                    | ZSET   | web processes by the expiry of their lease    | WAITING after the last beat  |
| `client:{client}`            | SET    | ids of the tasks that it waits for            | WAITING after the last push  |
| `withdrawn:{id}`             | STRING | a token: a task that is not accepted any more | WITHDRAWN                    |
| `doubted`                    | SET    | web processes unheard since an outage         | WAITING after the last outage|
| `usage:{visitor}`            | HASH   | GPU seconds that a visitor has used           | a day and ten half-lives     |
| `reserved:{visitor}`         | HASH   | their tasks that wait or run: seconds of each | WAITING after the last push  |
| `last_beat`                  | STRING | time of any last beat: shows broker outages   | WAITING                      |
| `cancellations:{worker}`     | PUBSUB | `{id} {reason}` of a task to stop             |                              |
| `blob:{name}`                | STRING | a payload too large for a message             | PAYLOAD after the last use   |
| `space:{name}`               | STRING | the latest record of a Space                  | set by the registry          |
| `candidate:{name}`           | STRING | the record of a revision that is tried        | set by the registry          |
| `revision:{name}:{revision}` | STRING | the record of one revision of a Space         | set by the registry          |
| `archive:{space}:{digest}`   | STRING | a Space's files                               | set by the registry          |
| `inbox:{reader}`             | PUBSUB | events of the tasks that an inbox reads       |                              |
| `registrations`              | PUBSUB | the name of a Space that registers            |                              |
| `idle`                       | PUBSUB | the name of a Space that nobody uses          |                              |
| `visits`                     | PUBSUB | the name of a Space whose page was opened     |                              |
| `spaces`                     | SET    | names of Spaces                               | permanent                    |
| `paused`                     | SET    | Spaces whose tasks wait until they are resumed| permanent                    |
| `drained`                    | SET    | workers that take no task, by node or by id   | permanent; an id: its lease  |
| `pinned`                     | SET    | Spaces that keep their room on a GPU          | permanent                    |
| `max_gpus`                   | HASH   | Space: tasks of it that may run at once       | permanent                    |
| `priority`                   | HASH   | Space: seconds that its tasks are ahead       | permanent                    |
| `on_gpus:{space}`            | SET    | ids of a Space's tasks that run               | WAITING after the last claim |
| `contenders:{size}`          | SET    | Spaces that may have tasks waiting            | WAITING after the last push  |
| `retryable`                  | LIST   | ids of failed tasks with their arguments      | ENDED after the last one     |
| `audit`                      | STREAM | what operators did, see `control/audit.py`    | AUDIT after the last action  |
| `logged_out:{session}`       | STRING | a mark: an operator has ended this session    | until its time is over       |
| `tokens`                     | HASH   | id: a token's digest, Space, use and last day | TOKEN_REMEMBERED after it    |
| `invitation:{token}`         | STRING | what a host needs that joins, sealed          | as long as its token         |

Fields of a task: `task` (packed) and `message` (Celery's), both until the end, or while `retryable` has it; `whole` if
`task` has all of the arguments; `retried`, the id of the task by which an operator retried it; `detached` if its
outcome is kept; `label`, `space`, `size`, `client`, `score`, `estimate`, `time_limit`, `state`, `enqueued_at`,
`started_at`, `ended_at`, `worker`, `attempt` (claims so far; with `worker` it fences every write), `lost` (workers
that died with it), `trace` (of `task_traces.note`), `batch` (number of the last batch of events, so that a batch sent
twice is written once), `reader` (the inbox that its events are published to), `unfollowed` once nobody reads it, and
after a request to cancel it `reason` and `cancelled`, the packed event. With quotas also `visitor`, `rate` (seconds
charged for each second held), `half_life`, `reserved` until it ends, and then `charged`.
Fields of a usage: `used` since `since`, the start of the day, and `decayed` at `at`, the usage that counts in the rank.
ENDED is the operator's: `outcome_lifetime` of the limits (`limits.py`). The other lifetimes stand below.
The tasks of a paused Space stand in `queue:{size}:{space}` and in `arrivals`, not in `queue:{size}`.
All keys share one hash tag, so one script may touch any of them, also in a cluster. Times are the broker's, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.queue.control.control_keys import ControlKeys

#: Seconds that a task may wait or run; a forgotten task is deleted after that.
WAITING = 24 * 3600

#: Seconds after which no task needs a payload that nobody has written or read since: the task waited or ran for as
#: long as it may, and its outcome was kept for as long as an operator may ask.
PAYLOAD = 2 * WAITING

#: Seconds for which a token of credit waits for the writer of a stream.
CREDIT = 3600

#: Seconds for which a withdrawn task is not accepted. A broker executes what it was sent as soon as it goes on.
WITHDRAWN = 600

#: Seconds from a visitor's first task until the day ends and the full quota is available again.
DAY = 24 * 3600

#: Seconds after which the lifetime of a key that every push writes is renewed; it is longer by so much.
RENEWAL = 3600

#: Seconds that a worker counts as idle after a claim that found no task; an idle worker claims again each second.
IDLE = 3

#: Seconds for which a Space's learned durations, the counts of refused tasks and all other counters are kept.
LEARNED = REFUSED = COUNTED = 30 * 24 * 3600

#: Seconds for which the actions of operators are kept after the last one.
AUDIT = 180 * 24 * 3600
#: Seconds for which the farm can tell that a token has expired.
TOKEN_REMEMBERED = 90 * 24 * 3600

#: About how many events a stream keeps.
EVENTS_KEPT = 10_000

#: Yields that a reader consumes for each credit that it gives to the writer.
YIELDS_PER_CREDIT = 64

#: The name of an inbox that takes several events in one message ends so. Those of earlier versions take one in each.
TAKES_SEVERAL = "+"

_FOREIGN = ("_kombu.binding", "unacked")  # made by kombu for Celery's own traffic


@dataclass(frozen=True, slots=True)
class Keys(ControlKeys):
    """Names the keys of one farm."""

    def queue(self, size: str) -> str:
        """ZSET of waiting tasks by score; WAITING after the last push."""
        return f"{self.prefix}:queue:{size}"

    def waiting(self, size: str, space: str) -> str:
        """ZSET, the tasks of `queue` that belong to one Space; WAITING after the last push."""
        return f"{self.prefix}:queue:{size}:{space}"

    def bell(self, size: str) -> str:
        """LIST of tokens that wake idle workers; WAITING after the oldest token, or until a claim finds nothing."""
        return f"{self.prefix}:bell:{size}"

    def task(self, task: str) -> str:
        """HASH of one task; WAITING from the push and again from each claim, ENDED from the end."""
        return f"{self.prefix}:task:{task}"

    def events(self, task: str) -> str:
        """STREAM of a task's events; WAITING from the last event, ENDED from the end."""
        return f"{self.prefix}:events:{task}"

    def credit(self, task: str) -> str:
        """LIST of tokens from the reader of a stream to its writer; CREDIT from the last token."""
        return f"{self.prefix}:credit:{task}"

    def workers(self) -> str:
        """ZSET of workers by the expiry of their lease; WAITING after the last beat."""
        return f"{self.prefix}:workers"

    def worker(self, worker: str) -> str:
        """STRING, a worker's description of itself as JSON; as long as its lease."""
        return f"{self.prefix}:worker:{worker}"

    def held(self, worker: str) -> str:
        """SET of the tasks that a worker has claimed; WAITING after the last claim."""
        return f"{self.prefix}:held:{worker}"

    def idle(self, size: str) -> str:
        """ZSET of the idle workers that serve a size, by the expiry of each entry; IDLE after the last entry."""
        return f"{self.prefix}:idle:{size}"

    def warmth(self, worker: str) -> str:
        """HASH of Spaces, each with the seconds in which an idle worker has a ready child; IDLE, or until it claims."""
        return f"{self.prefix}:warmth:{worker}"

    def call(self, worker: str) -> str:
        """LIST of a token that wakes this idle worker, while `bell` wakes any; IDLE, or until it claims."""
        return f"{self.prefix}:call:{worker}"

    def serving(self, size: str) -> str:
        """SET of the live workers that serve a size; WAITING after the last beat."""
        return f"{self.prefix}:serving:{size}"

    def arrivals(self) -> str:
        """ZSET of all waiting tasks by the time of their push; WAITING after the last push."""
        return f"{self.prefix}:arrivals"

    def learned(self, space: str) -> str:
        """HASH of the learned durations of a Space's functions; LEARNED after the last run."""
        return f"{self.prefix}:learned:{space}"

    def demand(self) -> str:
        """HASH of the arrivals of each Space, as `demand.Arrivals`; LEARNED after the last push."""
        return f"{self.prefix}:demand"

    def forecast(self) -> str:
        """STRING, when queued tasks will begin; as long as a forecast counts as fresh."""
        return f"{self.prefix}:forecast"

    def refused(self) -> str:
        """HASH of how many tasks each limit refused or ended; REFUSED after the last task."""
        return f"{self.prefix}:refused"

    def clients(self) -> str:
        """ZSET of web processes by the expiry of their lease; WAITING after the last beat."""
        return f"{self.prefix}:clients"

    def client(self, client: str) -> str:
        """SET of the tasks that a web process waits for; WAITING after the last push."""
        return f"{self.prefix}:client:{client}"

    def withdrawn(self, task: str) -> str:
        """STRING, a token that a task is not accepted any more; WITHDRAWN."""
        return f"{self.prefix}:withdrawn:{task}"

    def doubted(self) -> str:
        """SET of the web processes that were not heard since nobody was; WAITING after the last such time."""
        return f"{self.prefix}:doubted"

    def usage(self, visitor: str) -> str:
        """HASH of the GPU seconds that a visitor has used; a day and ten half-lives after the last change."""
        return f"{self.prefix}:usage:{visitor}"

    def reserved(self, visitor: str) -> str:
        """HASH of a visitor's tasks that wait or run, with the seconds of each; WAITING after the last push."""
        return f"{self.prefix}:reserved:{visitor}"

    def last_beat(self) -> str:
        """STRING, the time of the last beat of any worker or client; WAITING."""
        return f"{self.prefix}:last_beat"

    def cancellations(self, worker: str) -> str:
        """Pub/sub channel that tells a worker at once which of its tasks to stop; no key."""
        return f"{self.prefix}:cancellations:{worker}"

    def inbox(self, reader: str) -> str:
        """Pub/sub channel on which a process receives the events of its tasks; no key."""
        return f"{self.prefix}:inbox:{reader}"

    def blob(self, name: str) -> str:
        """STRING, a large payload; PAYLOAD after it was last written or read."""
        return f"{self.prefix}:blob:{name}"

    def space(self, name: str) -> str:
        """STRING, the latest record of a Space; the registry sets the lifetime."""
        return f"{self.prefix}:space:{name}"

    def candidate(self, name: str) -> str:
        """STRING, the record of a Space's revision that is being tried; the registry sets the lifetime."""
        return f"{self.prefix}:candidate:{name}"

    def revision(self, name: str, revision: str) -> str:
        """STRING, the record of one revision of a Space; the registry sets the lifetime."""
        return f"{self.prefix}:revision:{name}:{revision}"

    def archive(self, space: str, digest: str) -> str:
        """STRING, a Space's files as an archive; the registry sets the lifetime."""
        return f"{self.prefix}:archive:{space}:{digest}"

    def registrations(self) -> str:
        """Pub/sub channel that tells workers of Spaces that register; no key."""
        return f"{self.prefix}:registrations"

    def idle_spaces(self) -> str:
        """Pub/sub channel that tells workers of Spaces that nobody uses; no key."""
        return f"{self.prefix}:idle"

    def visits(self) -> str:
        """Pub/sub channel that tells workers of pages that are opened; no key."""
        return f"{self.prefix}:visits"

    def spaces(self) -> str:
        """SET of the names of Spaces; permanent."""
        return f"{self.prefix}:spaces"

    def on_gpus(self, space: str) -> str:
        """SET of a Space's tasks that run; WAITING after the last claim."""
        return f"{self.prefix}:on_gpus:{space}"

    def contenders(self, size: str) -> str:
        """SET of the Spaces that may have tasks of a size waiting; WAITING after the last push."""
        return f"{self.prefix}:contenders:{size}"

    def tokens(self) -> str:
        """HASH of the tokens for programs and pages of other hosts; TOKEN_REMEMBERED after the last one's last day."""
        return f"{self.prefix}:tokens"

    def invitation(self, token: str) -> str:
        """STRING, what a host that joins needs, sealed with its token; as long as the token, or until it was used."""
        return f"{self.prefix}:invitation:{token}"

    def is_permanent(self, key: str) -> bool:
        """Whether a key may have no lifetime."""
        lasting = (self.spaces(), self.paused(), self.drained(), self.pinned(), self.max_gpus(), self.priority())
        return key in lasting or key.startswith(_FOREIGN)
