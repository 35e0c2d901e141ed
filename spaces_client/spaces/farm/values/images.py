"""Encodes PIL images: mode, size and palette in the message, the pixels beside it.

An image that was opened from a file (a `PngImageFile`) arrives as a plain `Image` that keeps its `format`, `filename`
and `info`: its class represents an open file, which the other process does not have. Of an animation only the current
frame is sent.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from spaces.farm.values.raw_bytes import Raw

if TYPE_CHECKING:
    from PIL import Image

#: Bytes of one pixel, by mode. Other modes are left to pickle; "1" packs eight pixels into a byte.
_PIXEL_BYTES = {
    **dict.fromkeys(("L", "P"), 1),
    **dict.fromkeys(("LA", "La", "PA", "I;16", "I;16L", "I;16B", "I;16N"), 2),
    **dict.fromkeys(("RGB", "YCbCr", "LAB", "HSV"), 3),
    **dict.fromkeys(("RGBA", "RGBa", "RGBX", "CMYK", "I", "F"), 4),
}
_PALETTE_MODES = ("RGB", "RGBA")
#: Lists and dicts in what is known of a file are followed this far.
_DEEPEST = 8
#: Pixels along each side of an image without any; PIL makes room for each of its rows.
_LONGEST_EMPTY_SIDE = 2**16
_PLAIN = (str, bytes, int, float, bool, type(None))


def is_image(cls: type) -> bool:
    """Whether instances are PIL's own images; other subclasses keep their type by pickle."""
    image: Any = getattr(sys.modules.get("PIL.Image"), "Image", None)  # any: PIL may not be loaded
    return image is not None and issubclass(cls, image) and cls.__module__.startswith("PIL.")


def write_image(image: Image.Image) -> list[Any] | None:  # any: fields
    """Mode, size, palette, facts about its file, and the pixels."""
    pixels = image.tobytes()  # loads the image, after which mode and palette are settled
    palette = image.palette if image.mode in ("P", "PA") else None
    if len(pixels) != _size_bytes(image.mode, *image.size) or (palette and palette.mode not in _PALETTE_MODES):
        return None
    colours = [palette.mode, bytes(image.getpalette(palette.mode) or ())] if palette else []
    info = {key: value for key, value in image.info.items() if _is_plain(key) and _is_plain(value)}
    texts = {key: _parts_of_text(value) for key, value in image.info.items() if _is_text(type(value))}
    file = [image.format, str(getattr(image, "filename", "")), info, texts]
    return [image.mode, list(image.size), colours, file, Raw(memoryview(pixels))]


def read_image(
    mode: str, size: list[int], colours: list[Any], file: list[Any], data: bytes | memoryview
) -> Image.Image:
    """The image; its pixels are copied at the first write. Raises ValueError if they do not fit its size."""
    from PIL import Image

    width, height = size
    if len(data) != _size_bytes(mode, width, height):
        raise ValueError(f"{len(data)} bytes are no image of {width}x{height} pixels in mode {mode}")
    if not data and not all(0 <= side <= _LONGEST_EMPTY_SIDE for side in size):
        raise ValueError(f"an image without pixels cannot have {width}x{height}")
    if not data:
        image = Image.new(mode, (width, height))
    else:  # PIL takes any buffer, despite its annotation
        image = Image.frombuffer(mode, (width, height), cast("bytes", data), "raw", mode, 0, 1)
    if colours:
        palette_mode, palette = colours
        image.putpalette(palette, palette_mode)
    image.format, filename, image.info, texts = file
    image.info |= {key: _read_text(*parts) for key, parts in texts.items()}
    if filename:
        image.filename = filename  # type: ignore[attr-defined]  # as PIL itself sets it on images that it opens
    return image


def _is_plain(value: Any, depth: int = 0) -> bool:  # any: told by its exact type
    cls = type(value)
    if cls in (list, tuple):
        return depth < _DEEPEST and all(_is_plain(item, depth + 1) for item in value)
    if cls is dict:
        return depth < _DEEPEST and all(_is_plain(item, depth + 1) for pair in value.items() for item in pair)
    return cls in _PLAIN


def _is_text(cls: type) -> bool:
    """PIL's own texts of a PNG, which know their language."""
    return cls.__name__ == "iTXt" and cls.__module__ == "PIL.PngImagePlugin"


def _parts_of_text(text: Any) -> list[str | None]:  # any: an iTXt
    return [str.__str__(text), text.lang, text.tkey]


def _read_text(text: str, language: str | None, key: str | None) -> str:
    from PIL.PngImagePlugin import iTXt

    made = iTXt(text)
    made.lang, made.tkey = language, key
    return made


def _size_bytes(mode: str, width: int, height: int) -> int:
    if mode == "1":
        return (width + 7) // 8 * height
    return _PIXEL_BYTES.get(mode, -1) * width * height
