"""Encodes values as bytes and decodes them: the arguments and results of GPU functions, globals and errors.

Plain data, arrays, images and tensors are encoded by an explicit table (`extensions`), objects at module level by name
(`references`), everything else as a pickle that is signed with the Space's key: bytes from the broker can never run
code by themselves. The format is msgpack; a value of any other type is a list that starts with its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Signature
from typing import Any, cast

import msgpack

from spaces.errors import EncodingError
from spaces.farm import declared_lengths
from spaces.farm.values import explain, pickling, signing
from spaces.farm.values.codec_types import Extension, Kind, extension_of, read
from spaces.farm.values.glance import a, name_of, qualname_of, reason_of, text_of
from spaces.farm.values.met_objects import MetObjects
from spaces.farm.values.raw_bytes import SHORT_BYTES, Raw
from spaces.farm.values.references import Reference, References

#: Lists that are nested deeper are pickled, because pickle does not use Python's own stack.
DEEPEST = 100

_ATOMS = frozenset({type(None), bool, int, float, str})
_MARKS = {kind: msgpack.ExtType(kind.value, b"") for kind in Kind}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as bytes: a message, and the buffers that it refers to by number.

    The buffers may be views of the value itself: use them before it changes.
    """

    body: bytes | memoryview
    buffers: tuple[bytes | memoryview, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Bytes of the message and the buffers."""
        return len(self.body) + sum(len(buffer) for buffer in self.buffers)


class Codec:
    """Encodes and decodes the values of one Space.

    Without a key only the table is available: values that need a pickle are refused on both sides, and an object that a
    value holds twice arrives as two; with a key such a value is pickled as a whole. Without references no object is
    sent by name.

        codec = Codec(derive_space_key(farm_key, "digits"), References(space_modules(folder)))
        encoded = codec.encode({"image": image, "steps": 20})
        codec.decode(encoded.body, encoded.buffers)
    """

    def __init__(self, key: bytes = b"", references: References | None = None) -> None:
        self._key = key
        self._references = references or References(list)

    def freeze_references(self) -> None:
        """From now on, send by name only objects that are at module level now."""
        self._references.freeze()

    def encode(self, value: object) -> Encoded:
        """Turn a value into bytes. Raises EncodingError for a value that cannot be sent."""
        try:
            return self._encode(value, whole=False)
        except _Knotted:
            return self._encode(value, whole=True)

    def decode(
        self, body: bytes | memoryview, buffers: Sequence[bytes | memoryview] = ()
    ) -> Any:  # any: what was encoded
        """Turn bytes into the value. Arrays on writable buffers use them, others are copied.

        Raises EncodingError for bytes that are malformed, pickles that the Space's key did not sign, and objects that
        this process does not have.
        """
        try:
            declared_lengths.check(body)
            return msgpack.unpackb(
                body,
                ext_hook=_kind,
                list_hook=_Decoding(self._key, self._references, buffers).read,
                strict_map_key=False,
                unicode_errors="surrogatepass",
            )
        except EncodingError:
            raise
        except Exception as error:  # numpy, torch, PIL and classes of the Space get bytes from the network
            raise EncodingError(f"a message cannot be read: {qualname_of(type(error))}: {text_of(error)}") from error

    def encode_call(
        self,
        label: str,
        signature: Signature | None,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *more: object,
    ) -> Encoded:
        """Encode `(args, kwargs, *more)`. Raises EncodingError, which names the argument that cannot be sent."""
        call = (tuple(args), dict(kwargs))
        try:
            return self.encode((*call, *more))
        except EncodingError as error:
            named = explain.refused_argument(label, signature, call, error, self._refusal)
            raise EncodingError(named) from error

    def encode_result(self, label: str, value: object, verb: str = "returned") -> Encoded:
        """Encode a value that the function `label` returned or yielded. Raises EncodingError with the reason."""
        try:
            return self.encode(value)
        except EncodingError as error:
            raise EncodingError(explain.refused_result(label, verb, value, error, self._refusal)) from error

    def _refusal(self, value: object) -> EncodingError | None:
        try:
            self.encode(value)
        except EncodingError as error:
            return error
        return None

    def _encode(self, value: object, *, whole: bool) -> Encoded:
        encoding = _Encoding(self._key, self._references, whole=whole)
        tree = encoding.pickled(value) if whole else encoding.plain(value)
        try:
            body = msgpack.packb(tree, default=encoding.plain, unicode_errors="surrogatepass")
        except ValueError as error:
            raise EncodingError(f"{a(name_of(value))} is too large for one message: {error}") from error
        return Encoded(body, tuple(encoding.buffers))


class _Knotted(Exception):
    """The value contains itself, or an object twice, or is nested deeper than `DEEPEST`."""


class _Encoding:
    """Encodes one value."""

    def __init__(self, key: bytes, references: References, *, whole: bool) -> None:
        self.buffers: list[bytes | memoryview] = []
        self._key = key
        self._find = references.finder()
        self._open: set[int] = set()
        self._met = MetObjects() if key and not whole else None

    def plain(self, value: object) -> object:
        """A replacement for `value` that msgpack can write."""
        if _is_native(value):
            return value
        if id(value) in self._open or len(self._open) > DEEPEST:
            raise _Knotted
        self._open.add(id(value))
        try:
            return self._inside(value)
        finally:
            self._open.remove(id(value))

    def pickled(self, value: object) -> list[object]:
        """A signed pickle."""
        if not self._key:
            raise pickling.Unsendable(
                a(name_of(value)),
                "it needs the Space's key",
                "Send plain data, arrays, images or files instead",
            )
        pickle, buffers = self._dumped(value)
        signature = signing.sign(self._key, pickle, buffers)
        parts = [self._raw(part) for part in (memoryview(pickle), *buffers)]
        return [_MARKS[Kind.PICKLE], signature, *parts]

    def _dumped(self, value: object) -> tuple[bytes, list[memoryview]]:
        if self._met is None:
            return pickling.dump(value, self._find)
        met = MetObjects()

        def find(each: object) -> Reference | None:
            reference = self._find(each)
            if reference is None and each is not value:
                met.meet(each)
            return reference

        dumped = pickling.dump(value, find)
        if not self._met.meet_all(met):
            raise _Knotted
        return dumped

    def _inside(self, value: Any) -> object:  # any: told by its exact type, for a proxy lies to `match`
        cls: type = type(value)
        if cls is Raw:
            return self._raw(value.view)
        if self._met is not None and not self._met.meet(value):
            raise _Knotted
        if cls is list:
            return value if _ATOMS.issuperset(map(type, value)) else [self.plain(item) for item in value]
        if cls is dict and _ATOMS.issuperset(map(type, value)):
            return {key: self.plain(item) for key, item in list(value.items())}
        extension = extension_of(cls)
        fields = _fields(extension, value) if extension else None
        if extension is None or fields is None:
            return self._by_name(value) or self.pickled(value)
        return [_MARKS[extension.kind], *map(self.plain, fields)]

    def _by_name(self, value: object) -> list[object] | None:
        reference = self._find(value)
        if reference is None:
            return None
        steps = [list(step) for step in reference.steps]
        return [_MARKS[Kind.REFERENCE], reference.module, reference.name, steps, reference.type_name]

    def _raw(self, view: memoryview) -> object:
        if view.nbytes <= SHORT_BYTES:
            return bytes(view)
        self.buffers.append(view)
        return [_MARKS[Kind.BUFFER], len(self.buffers) - 1]


class _Decoding:
    """Decodes one value."""

    def __init__(self, key: bytes, references: References, buffers: Sequence[bytes | memoryview]) -> None:
        self._key = key
        self._references = references
        self._buffers: list[bytes | memoryview | None] = list(buffers)

    def read(self, items: list[Any]) -> Any:  # any: checked by the readers
        """Return a list, or the value of a typed list."""
        if not items or type(items[0]) is not Kind:
            return items
        match items:
            case [Kind.BUFFER, int(number)] if number >= 0:
                return self._taken(number)
            case [Kind.PICKLE, signature, pickle, *buffers]:
                return self._unpickled(signature, bytes(pickle), buffers)
            case [Kind.REFERENCE, str(module), str(name), list(steps), str(type_name)]:
                return self._references.resolve(Reference(module, name, tuple(map(tuple, steps)), type_name))
        return read(*items)

    def _taken(self, number: int) -> bytes | memoryview:
        """A buffer, once: each reader may copy it, and a message could name a large one a million times."""
        buffer, self._buffers[number] = self._buffers[number], None
        if buffer is None:
            raise EncodingError(f"a message uses its buffer {number} twice")
        return buffer

    def _unpickled(self, signature: bytes, pickle: bytes, buffers: list[bytes | memoryview]) -> object:
        if not self._key:
            raise EncodingError("a message holds a pickle, and this process has no key to check its signature")
        if not signing.verify(self._key, signature, pickle, buffers):
            raise EncodingError("a message holds a pickle that was not signed with this Space's key; it was not opened")
        return pickling.load(pickle, buffers, self._references.resolve)


def _fields(extension: Extension, value: object) -> list[Any] | None:  # any: whatever the codec can write
    try:
        return extension.write(value)
    except Exception as error:  # a truncated file, a failed GPU: PIL and torch may raise anything
        raise pickling.Unsendable(a(name_of(value)), reason_of(error)) from error


def _kind(code: int, _data: bytes) -> Kind:
    return Kind(code)


def _is_native(value: object) -> bool:
    cls = type(value)
    if cls is int:
        return -(2**63) <= cast("int", value) < 2**64
    if cls is bytes:
        return len(cast("bytes", value)) <= SHORT_BYTES
    return cls in _ATOMS
