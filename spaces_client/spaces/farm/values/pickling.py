"""The fallback of the codec: pickle protocol 5, for all types without a row in the table.

Buffers stay outside the pickle, module-level objects are named instead of copied, tensors become CPU tensors.
The codec signs pickles, and refuses unsigned ones before this module reads them.
"""

from __future__ import annotations

import io
import pickle
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from spaces.errors import EncodingError
from spaces.farm.values import exceptions, plain_objects, tensors, views
from spaces.farm.values.codec_types import Extension, Kind, extension_of, read
from spaces.farm.values.glance import a, is_a, module_of, name_of, qualname_of, reason_of, text_of
from spaces.farm.values.raw_bytes import Raw, writable
from spaces.farm.values.references import Reference

#: The largest torch module that is sent by value. A larger one must be loaded at module level, where it happens once.
LARGEST_MODULE_BYTES = 64 * 2**20

#: Pickles up to this size, with their buffers, are always read back before they are sent. A larger one is read back if
#: it holds a class that was not read back before.
_SMALL_BYTES = 256 * 1024

#: Classes that were read back.
_readable: weakref.WeakSet[type] = weakref.WeakSet()

Find = Callable[[object], Reference | None]


class Unsendable(EncodingError):
    """A value cannot be sent. `what` is a noun phrase for it ("a lock"), `advice` a sentence.

    `culprit` is the object to blame, if known; it may be deep inside the value.
    """

    def __init__(self, what: str, reason: str, advice: str = "", culprit: object = None) -> None:
        super().__init__(f"{what} cannot be sent to another process: {reason}{advice and '. '}{advice}")
        self.what, self.reason, self.advice, self.culprit = what, reason, advice, culprit

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Pickle as EncodingError, the public class, with the text alone."""
        return EncodingError, (str(self),)


class Unreadable(Unsendable):
    """A value that can be pickled but not unpickled."""


def dump(value: object, find: Find) -> tuple[bytes, list[memoryview]]:
    """The pickle and the buffers that it leaves out. Raises Unsendable, also for what could not be read back."""
    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler = _Pickler(file, buffers, find)
    try:
        pickler.dump(value)
    except EncodingError:
        raise
    except RecursionError:
        raise Unsendable(a(name_of(value)), "it is nested too deeply") from None
    except Exception as error:  # a value's own __reduce__ and __getstate__ may raise anything
        raise Unsendable(a(name_of(value)), reason_of(error)) from error
    pickled, views = file.getvalue(), [buffer.raw() for buffer in buffers]
    pickler.check(value, pickled, views)
    return pickled, views


def load(pickled: bytes, buffers: Sequence[bytes | memoryview], resolve: Callable[[Reference], object]) -> object:
    """Load a value. Pass only pickles that were signed with the Space's key."""
    return _Unpickler(io.BytesIO(pickled), [writable(buffer) for buffer in buffers], resolve).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, buffers: list[pickle.PickleBuffer], find: Find) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self._find = find
        self._named: dict[Reference, object] = {}
        self._classes: set[type] = set()

    def check(self, value: object, pickled: bytes, buffers: Sequence[memoryview]) -> None:
        """Test that a pickle can be read, once for each class, and always if it is small. Raises Unreadable.

        Objects whose deletion has an effect, such as deleting a file, are not read.
        """
        known = all(cls in _readable for cls in self._classes)
        size = len(pickled) + sum(view.nbytes for view in buffers)
        if (known and size > _SMALL_BYTES) or any(map(_is_mortal, self._classes)):
            return
        try:
            _Unpickler(io.BytesIO(pickled), [view.toreadonly() for view in buffers], self._named.__getitem__).load()
        except Exception as error:  # constructors and `__setstate__` of any class
            reason = f"it cannot be read back: {qualname_of(type(error))}: {text_of(error)}"
            raise Unreadable(a(name_of(value)), reason) from error
        _readable.update(self._classes)

    def persistent_id(self, value: object) -> object:
        reference = self._find(value)
        if reference is None:
            return None
        self._named[reference] = value
        return reference.module, reference.name, reference.steps, reference.type_name

    def reducer_override(self, value: Any) -> Any:  # any: a reduce value has six forms
        cls: type = type(value)
        self._classes.add(cls)
        if tensors.is_parameter(cls):
            return _reduced(tensors.rebuild_parameter, tensors.write_tensor(value))
        match extension_of(cls):
            case Extension(kind=Kind.ARRAY | Kind.TENSOR | Kind.IMAGE as kind, write=write):
                return _reduced(_READ[kind], write(value))
        _refuse_large_module(value)
        if _is_gradio_event(value):
            return self._reduced_event(value)
        if exceptions.is_reduced_by_default(cls):
            return exceptions.reduced(value)
        if plain_objects.answers_for_itself(cls):
            return plain_objects.reduced(value)
        return views.reduced(value) or NotImplemented

    def _reduced_event(self, event: Any) -> Any:  # any: a gradio.EventData; a reduce value
        """Reduce Gradio's event data, whose own pickle recurses without end. Its component is sent by name or not."""
        state = dict(vars(event))
        if self._find(state.get("target")) is None:
            state["target"] = None
        return object.__new__, (type(event),), state, None, None, set_attributes


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: list[memoryview], resolve: Callable[[Reference], object]) -> None:
        super().__init__(file, buffers=buffers)
        self._resolve = resolve

    def persistent_load(self, place: tuple[Any, ...]) -> object:  # any: written by persistent_id, and signed
        return self._resolve(Reference(*place))


def read_array(*fields: Any) -> Any:  # any: the fields of an array; an array
    """Pickles refer to this function, so that the implementation may change."""
    return read(Kind.ARRAY, *fields)


def read_tensor(*fields: Any) -> Any:  # any: the fields of a tensor; a tensor
    """Pickles refer to this function, as to `read_array`."""
    return read(Kind.TENSOR, *fields)


def read_image(*fields: Any) -> Any:  # any: the fields of an image; an image
    """Pickles refer to this function, as to `read_array`."""
    return read(Kind.IMAGE, *fields)


def set_attributes(instance: object, attributes: dict[str, object]) -> None:
    """Pickles refer to this function, for objects whose `__setstate__` would fail."""
    vars(instance).update(attributes)


_READ = {Kind.ARRAY: read_array, Kind.TENSOR: read_tensor, Kind.IMAGE: read_image}


def _reduced(reader: Callable[..., Any], fields: list[Any] | None) -> Any:  # any: a reduce value
    if fields is None:
        return NotImplemented
    return reader, tuple(pickle.PickleBuffer(field.view) if isinstance(field, Raw) else field for field in fields)


def _is_mortal(cls: type) -> bool:
    """Whether a class has a `__del__`; that of Python's own files in memory does no harm."""
    return hasattr(cls, "__del__") and module_of(cls) != "_io"


def _is_gradio_event(value: object) -> bool:
    event_data = getattr(sys.modules.get("gradio.events"), "EventData", None)
    return event_data is not None and is_a(value, event_data)


def _refuse_large_module(value: Any) -> None:  # any: a torch module, or anything else
    if not tensors.is_module(value):
        return
    size = sum(tensor.nbytes for group in (value.parameters(), value.buffers()) for tensor in group)
    if size > LARGEST_MODULE_BYTES:
        limit = LARGEST_MODULE_BYTES // 2**20
        raise Unsendable(
            f"a torch module of {size // 2**20} MB",
            f"by value it may have at most {limit} MB",
            "Create it at module level, where every process of the Space has it",
            culprit=value,
        )
