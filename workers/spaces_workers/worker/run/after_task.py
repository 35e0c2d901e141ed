"""A child after its task: one that is fit for another task is kept warm, any other is killed."""

from __future__ import annotations

from contextlib import suppress

from spaces.farm.events import Cancelled, Failed, Succeeded
from spaces.farm.memory_errors import lacks_gpu_memory
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.messages import Idle
from spaces_workers.link.readiness import is_readable
from spaces_workers.worker.carrier import Carrier
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.run.run_state import NoAnswer, NotGiven, Over, Reported, Verdict
from spaces_workers.worker.workplace import Workplace

#: Seconds for a child to get ready for its next task, while threads of the last one still run.
SETTLE_PATIENCE = 10.0

#: Texts in an error after which a CUDA context cannot be trusted any more.
_HARM = ("CUDA error", "AcceleratorError", "cuDNN error", "CUBLAS_STATUS", "device-side assert")


def is_settled(child: ChildLink, over: Over) -> bool:
    """Whether `put_away` would keep it without waiting: it has reported to be ready, together with the end."""
    return isinstance(over.answer, Reported) and _is_harmless(over.verdict) and is_readable(child.channel)


def put_away(child: ChildLink, over: Over, workplace: Workplace) -> None:
    """Keep a child that is fit for another task; kill any other. Returns once the device is free for the next task."""
    residency = workplace.residency
    if isinstance(over.verdict, Failed) and lacks_gpu_memory(over.verdict.type_name, over.verdict.text):
        residency.learn_shortage(child.spec)
    match over.answer:
        case NotGiven() if not child.gone:
            residency.keep(child)
        case Reported() if _is_harmless(over.verdict) and _settles(child):
            child.tasks_done += 1
            residency.keep(child)
        case NoAnswer():
            _discard_unheard(child, workplace.carrier)
            child.discard()
        case _:
            child.discard()


def _discard_unheard(child: ChildLink, carrier: Carrier) -> None:
    """Kill a child that will not report an end, and delete the values that it sent and nobody received."""
    child.kill()
    with suppress(ChannelClosed):
        while not isinstance(message := child.channel.receive(), Idle):
            carrier.discard_value_of(message)


def _settles(child: ChildLink) -> bool:
    """Receive the child's messages after its task. Returns whether it is fit for the next one."""
    try:
        message = child.channel.receive(timeout=SETTLE_PATIENCE)
    except (ChannelClosed, TimeoutError):
        return False
    if not isinstance(message, Idle):
        return False
    child.memory = message.memory
    return message.clean


def _is_harmless(verdict: Verdict) -> bool:
    """Whether the child can run another task after this verdict."""
    match verdict:
        case Succeeded() | Cancelled():
            return True
        case Failed(type_name, text):
            harmed = any(sign in f"{type_name} {text}" for sign in _HARM)
            return not harmed and not lacks_gpu_memory(type_name, text)
        case _:
            return False
