"""Children with the same bytes keep one copy, and none is given bytes that it does not have."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from spaces_workers.child.memory_meter import StandInMeter
from spaces_workers.child.sleep.host_memory import SMALL, HostMemory
from spaces_workers.child.sleep.orders import Orders, _copies_of
from spaces_workers.child.sleep.sealed_memory import mapped, sealed_copy
from spaces_workers.child.sleep.sleeper import Sleeper
from spaces_workers.gpu.devices import Device
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.link.sleep_messages import CopyShown, HostCopy, ShareCopy, ShowCopy
from spaces_workers.worker.child_copies import TRIES, common_bytes
from spaces_workers.worker.child_link import ChildLink, Halted
from spaces_workers.worker.gpu_memory import host_capacity
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory
from spaces_workers.worker.gpu_memory.host_capacity import Capacity
from spaces_workers.worker.gpu_memory.host_listing import HostListing, Listing
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sealed_files import taken
from spaces_workers.worker.gpu_memory.shared_copies import SharedCopies
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget
from tests.unit.sleeping import card_in
from tests.unit.test_child_ends import Zygote

CARD = Device("GPU-1", 0, "NVIDIA H200", 80 << 30, "gpu", ("large",))
KEYS = [(bytes([n]) * 8, SMALL + n) for n in range(4)]


def plenty(size_bytes: int) -> bool:
    """A host that has room for any part."""
    return True


class Child:
    """Serves the orders of its worker on a thread, as `child/main.py` does; shows `instead` if that is given."""

    def __init__(self, folder: Path, space: str, fill: int = 1, instead: Callable[[], int] | None = None) -> None:
        self.memory = HostMemory(None)
        self.memory.add(KEYS, pinned=True)
        for key in KEYS:
            self.memory[key].bytes.fill_(fill)
        self._instead = instead
        ours, self._channel = Channel.pair()
        sleeper = Sleeper(card_in(folder), driver=None)
        sleeper._host = self.memory
        self._orders = Orders(sleeper, StandInMeter(0), self._channel)
        self.link = ChildLink(ZygoteSpec(space, "", "", "", b""), 0, ours, Zygote(None))
        self.link._bond.given()
        self.link._bond.cut()  # nobody is at its other end
        self.tell()
        self.heard: list[object] = []
        self.dies_at = 0  #: the number of the order at which it dies
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def tell(self) -> None:
        """Let its worker know what it could share."""
        sleeper = self._orders._sleeper
        assert sleeper is not None
        self.link.host_bytes, self.link.pinned_bytes = self.memory.size_bytes, self.memory.pinned_bytes
        self.link.copies.hear(_copies_of(sleeper), self.memory.size_bytes)

    def _serve(self) -> None:
        while True:
            try:
                order, fd = self._channel.receive_with_fd()
            except ChannelClosed:
                return
            self.heard.append(type(order))
            if len(self.heard) == self.dies_at:
                if fd is not None:
                    os.close(fd)
                self._channel.abandon()
                return
            match order:
                case ShowCopy(name):
                    answer, shown = self._orders.show(name) if self._instead is None else (CopyShown(), self._instead())
                    self._channel.send(answer, fd=shown)
                    if shown is not None:
                        os.close(shown)
                case ShareCopy(name):
                    assert fd is not None
                    self._channel.send(self._orders.share(name, fd))

    @property
    def shares(self) -> int:
        """How many of its parts are in common memory."""
        return sum(part.is_shared for part in self.memory.sharable)

    def has(self, fill: int) -> bool:
        """Whether all its bytes are these."""
        return all(torch.equal(each, torch.full_like(each, fill)) for each in (self.memory[key].bytes for key in KEYS))

    def close(self) -> None:
        self.link.channel.close()
        self._thread.join()
        self._channel.close()


class Scene:
    """A worker with children."""

    def __init__(self, folder: Path, scope: Callable[[str], str]) -> None:
        self.folder = folder
        self.copies = SharedCopies(HostListing(folder, folder), scope)
        self.children: list[Child] = []

    def add(self, space: str, fill: int = 1, instead: Callable[[], int] | None = None) -> Child:
        self.children.append(Child(self.folder, space, fill, instead))
        return self.children[-1]

    def rounds(self, count: int = 2) -> None:
        """What an idle worker does time and again."""
        for _ in range(count):
            for child in self.children:
                self.copies.share(child.link, plenty)
            self.copies.exchange([child.link for child in self.children])

    def close(self) -> None:
        for child in self.children:
            child.close()
        self.copies.exchange([])

    @property
    def sealed(self) -> int:
        """Descriptors of sealed memory in this process."""
        links = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return sum("memfd:copies" in each for each in links)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with ExitStack() as ends:

        def made(scope: Callable[[str], str] = lambda _: "") -> Scene:
            scene = Scene(tmp_path, scope)
            ends.callback(scene.close)
            return scene

        yield made


def test_two_children_with_the_same_bytes_keep_one_copy(make: Callable[..., Scene]) -> None:
    scene = make()
    one, other = scene.add("first"), scene.add("second")
    size = one.memory.size_bytes
    scene.rounds()
    assert (one.shares, other.shares, scene.sealed) == (4, 4, 4)
    assert one.has(1)
    assert other.has(1)
    addresses = {child.memory[KEYS[0]].bytes.data_ptr() for child in scene.children}
    assert len(addresses) == 2  # of one memory: each process has its own mapping
    assert common_bytes([child.link.copies for child in scene.children]) == size
    assert [child.link.copies.shared_bytes for child in scene.children] == [size, size]


def test_a_child_alone_is_not_asked_for_anything(make: Callable[..., Scene]) -> None:
    scene = make()
    alone = scene.add("first")
    scene.rounds()
    assert not alone.heard
    assert not scene.sealed


def test_bytes_are_compared_not_their_names(make: Callable[..., Scene]) -> None:
    """A child that knows the digest of another's weights would have been given them."""
    scene = make()
    honest, liar = scene.add("first", fill=1), scene.add("second", fill=2)
    scene.rounds(3)
    assert (honest.shares, liar.shares) == (4, 0)
    assert ShareCopy not in liar.heard
    assert honest.has(1)
    assert liar.has(2)
    heard = len(liar.heard)
    scene.rounds()
    assert len(liar.heard) == heard  # it is not asked again


def test_a_child_that_comes_first_with_other_bytes_keeps_nobody_from_sharing(make: Callable[..., Scene]) -> None:
    """The first bytes by a name were the common ones, so a Space that named a known checkpoint kept it from others."""
    scene = make()
    liar, one, other = scene.add("first", fill=2), scene.add("second"), scene.add("third")
    scene.rounds(4)
    assert (one.shares, other.shares) == (4, 4)
    assert scene.sealed == 8
    assert liar.has(2)
    assert one.has(1)
    assert other.has(1)


def test_a_child_with_bytes_like_nobodys_is_compared_a_few_times_only(make: Callable[..., Scene]) -> None:
    scene = make()
    children = [scene.add(f"space {fill}", fill) for fill in range(TRIES + 2)]
    scene.rounds(2 * len(children))
    assert max(child.heard.count(ShowCopy) for child in children) == TRIES * len(KEYS)


def test_a_child_that_has_the_beginning_of_anothers_bytes_gets_not_the_rest(make: Callable[..., Scene]) -> None:
    scene = make()
    honest = scene.add("first")

    def shown() -> int:
        return sealed_copy(torch.ones(SMALL, dtype=torch.uint8))

    liar = scene.add("second", instead=shown)
    told = [HostCopy(name, SMALL, False) for name, size in honest.link.copies.sizes.items() if size > SMALL]
    liar.link.copies.hear(told, liar.memory.size_bytes)
    scene.rounds(3)
    assert ShowCopy in liar.heard
    assert ShareCopy not in liar.heard


def unsealed() -> int:
    fd = os.memfd_create("copies")
    os.ftruncate(fd, SMALL)
    return fd


def path_only() -> int:
    """A descriptor by which a worker would open whatever is at its other end."""
    fd = sealed_copy(torch.ones(SMALL, dtype=torch.uint8))
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_PATH)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "instead", [lambda: os.open("/dev/zero", os.O_RDONLY), unsealed, lambda: os.pipe()[0], path_only]
)
def test_only_sealed_memory_of_its_size_is_taken_from_a_child(
    make: Callable[..., Scene], instead: Callable[[], int]
) -> None:
    """What it could change later would change under others, and what it could shorten would kill them."""
    scene = make()
    odd, other = scene.add("first", instead=instead), scene.add("second")
    scene.rounds(3)
    assert ShareCopy not in odd.heard
    assert other.has(1)


def test_sealed_memory_is_let_go_when_no_child_uses_it(make: Callable[..., Scene]) -> None:
    scene = make()
    one, other = scene.add("first"), scene.add("second")
    scene.rounds()
    one.memory.keep_only([])
    one.tell()
    scene.rounds(1)
    assert scene.sealed == 4
    assert other.has(1)
    other.memory.keep_only([])
    other.tell()
    scene.rounds(1)
    assert scene.sealed == 0


@pytest.mark.parametrize(("scopes", "shares"), [({"first": "a", "second": "a"}, 4), ({"first": "a", "second": "b"}, 0)])
def test_spaces_share_within_their_scope_only(make: Callable[..., Scene], scopes: dict[str, str], shares: int) -> None:
    scene = make(scopes.__getitem__)
    one, other = scene.add("first"), scene.add("second")
    scene.rounds()
    assert (one.shares, other.shares) == (shares, shares)


def test_a_task_halts_the_comparison(make: Callable[..., Scene]) -> None:
    scene = make()
    one, other = scene.add("first"), scene.add("second")
    scene.rounds(1)
    scene.copies.share(one.link, plenty)
    other.link.halt()
    with pytest.raises(Halted):
        scene.copies.share(other.link, plenty)
    assert other.shares == 0
    other.link.go_on()
    scene.rounds()
    assert other.shares == 4


@pytest.mark.parametrize("orders", [1, 2])
def test_nothing_is_left_of_a_child_that_dies_while_it_shares(make: Callable[..., Scene], orders: int) -> None:
    scene = make()
    one, other = scene.add("first"), scene.add("second")
    scene.rounds(1)
    other.dies_at = orders
    scene.copies.share(one.link, plenty)
    with pytest.raises(ChannelClosed):
        scene.copies.share(other.link, plenty)
    scene.copies.exchange([one.link])
    assert scene.sealed == len(KEYS)
    assert one.has(1)
    scene.copies.exchange([])
    assert scene.sealed == 0


def test_a_child_that_tells_of_more_than_it_has_is_not_heard(make: Callable[..., Scene]) -> None:
    child = make().add("first")
    child.link.copies.hear([HostCopy(b"n" * 16, 1 << 60, False)], child.memory.size_bytes)
    assert not child.link.copies.sizes


def test_parts_that_are_too_small_to_be_shared_are_not_heard(make: Callable[..., Scene]) -> None:
    """Its worker keeps a descriptor for each: a child could name 1,024 parts of one byte."""
    child = make().add("first")
    told = [HostCopy(b"a" * 16, SMALL - 1, False), HostCopy(b"b" * 16, SMALL, False)]
    child.link.copies.hear(told, child.memory.size_bytes)
    assert list(child.link.copies.sizes) == [b"b" * 16]


def test_a_quarter_of_the_descriptors_is_for_shared_copies(
    make: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make()
    children = [scene.add("first"), scene.add("second")]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (11, 4096))
    scene.rounds(3)
    assert scene.sealed == 2
    assert [child.shares for child in children] == [2, 2]
    assert not any(scene.copies.can_share(child.link, plenty) for child in children)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    scene.rounds()
    assert [child.shares for child in children] == [4, 4]


def test_a_child_copies_nothing_for_others_while_the_host_has_no_room(
    make: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the memory of a whole part once more until the copy is common."""
    scene = make()
    children = [scene.add("first"), scene.add("second")]
    scene.copies.exchange([child.link for child in children])
    budget = HostMemoryBudget(1 << 40, 1 << 40)
    room = Residency(2, DeviceMemory(CARD, reading=lambda _: None), budget, copies=scene.copies).host
    total = 1 << 30
    free = total // 10 + SMALL - 32
    monkeypatch.setattr(host_capacity, "capacity", lambda: Capacity(total=total, available=free))
    for child in children:
        assert not room.can_share(child.link)
        room.share(child.link)
    assert not any(child.heard for child in children)
    free += 64  # room for the smallest part
    for child in children:
        assert room.can_share(child.link)
        room.share(child.link)
    assert [child.shares for child in children] == [1, 1]


def as_user(uid: int, act: Callable[[], None]) -> int:
    """Do something in a process of another user. Returns its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgid(uid)
            os.setuid(uid)
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def is_refused(act: Callable[[], object]) -> bool:
    """Whether the kernel refuses it."""
    try:
        act()
    except OSError:
        return True
    return False


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_copy_goes_from_one_user_to_another_for_reading_alone() -> None:
    ours, theirs = socket.socketpair()
    source = torch.full((SMALL,), 7, dtype=torch.uint8)

    def send(fd: int) -> None:
        socket.send_fds(theirs, [b"x"], [fd])

    assert as_user(60600, lambda: send(sealed_copy(source))) == 0
    _, [shown], _, _ = socket.recv_fds(ours, 1, 1)
    given = taken(shown, SMALL)
    os.close(shown)

    def read_and_try_to_write() -> None:
        assert mapped(given, SMALL)[-1] == 7
        assert is_refused(lambda: os.pwrite(given, b"other", 0))
        assert is_refused(lambda: os.pwrite(os.open(f"/proc/self/fd/{given}", os.O_RDWR), b"other", 0))

    assert as_user(60601, read_and_try_to_write) == 0
    os.close(given)
    ours.close()
    theirs.close()


def test_the_file_of_a_worker_that_is_gone_counts_for_nothing(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        HostListing(tmp_path, tmp_path).write(Listing(own_bytes=7))
        os._exit(0)
    os.waitpid(pid, 0)
    listing = HostListing(tmp_path, tmp_path)
    assert len(list(tmp_path.glob("copies-*/*"))) == 1
    listing.read()
    assert listing.bytes_of_others == 0
    assert not list(tmp_path.glob("copies-*/*"))
