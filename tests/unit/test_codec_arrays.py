"""Arrays, tensors, images and tables: every dtype and mode, without pickle, writable and private on arrival."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from spaces.errors import EncodingError
from spaces.farm.payloads.packer import to_encoded, to_payload
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.values.codec import Codec

KEY = b"k" * 32
RECORD = np.dtype([("name", "<U4"), ("place", "f8", (2,)), ("inner", [("flag", "?")])])

ARRAYS = {
    **{name: np.ones((3, 4), name) for name in ["bool", "int8", "uint16", "int64", "float16", "float64", "complex64"]},
    "big endian": np.arange(5, dtype=">i4"),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "times": np.array(["2026-01-01", "NaT"], dtype="M8[us]"),
    "spans": np.array([1, 2], dtype="m8[25s]"),
    "structured": np.zeros(3, RECORD),
    "no dimension": np.array(3.5),
    "empty": np.zeros((0, 3)),
    "text of no length": np.zeros(2, "<U0"),
    "every second": np.arange(10_000)[::2],
    "backwards": np.arange(10)[::-1],
    "large": np.arange(100_000, dtype="f4").reshape(100, 1000),
}


def round_trip(value: Any, codec: Codec | None = None) -> Any:  # any: arrays of several libraries
    codec = codec or Codec()
    encoded = codec.encode(value)
    return codec.decode(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_an_array_comes_back_equal_and_writable(array: np.ndarray[Any, Any]) -> None:
    result = round_trip(array)
    assert type(result) is np.ndarray
    assert result.dtype == array.dtype
    assert result.shape == array.shape
    assert result.tobytes() == array.tobytes()
    assert result.flags.writeable


CUBE = np.arange(60.0).reshape(3, 4, 5)
ORDERS = {
    "C": CUBE,
    "Fortran": np.asfortranarray(CUBE),
    "transposed": CUBE.T,
    "axes moved": CUBE.transpose(1, 0, 2),
    "axes moved round": np.moveaxis(CUBE, 0, -1),
    "a part, moved": CUBE.transpose(2, 0, 1)[::2, 1:],
    "backwards": CUBE[::-1, :, ::-1],
    "backwards, moved": CUBE.transpose(1, 2, 0)[::-1],
    "broadcast": np.broadcast_to(np.arange(3.0)[:, None], (3, 4)),
    "one axis of one": CUBE[:, :1].transpose(1, 2, 0),
    "read-only": np.frombuffer(bytes(16), "f8"),
    "structured": np.zeros((2, 3, 4), RECORD).transpose(1, 0, 2),
    "big endian": CUBE.astype(">f4").transpose(1, 0, 2),
    "unaligned": np.frombuffer(bytes(17), "u1")[1:].view("f8"),
    "no element": np.zeros((3, 0, 2)).transpose(1, 0, 2),
}


def steps(array: np.ndarray[Any, Any]) -> list[int]:
    """The strides that mean something: not of an axis that has one place."""
    return [step for step, size in zip(array.strides, array.shape, strict=True) if size > 1] if array.size else []


@pytest.mark.parametrize("order", ORDERS)
def test_an_array_comes_back_as_its_copy(order: str) -> None:
    array: np.ndarray[Any, Any] = ORDERS[order]
    result, copied = round_trip(array), array.copy(order="K")
    np.testing.assert_array_equal(result, array)
    assert (result.shape, result.dtype, steps(result)) == (copied.shape, copied.dtype, steps(copied))
    assert result.dtype.byteorder == array.dtype.byteorder
    for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS", "WRITEABLE", "ALIGNED"):
        assert result.flags[flag] == copied.flags[flag], flag


@pytest.mark.parametrize(
    "scalar",
    [
        np.float32(1.5),
        np.int8(-3),
        np.bool_(True),
        np.str_(""),
        np.str_("abc"),
        np.datetime64("2026"),
        np.complex128(1j),
    ],
    ids=repr,
)
def test_a_numpy_scalar_keeps_its_type(scalar: np.generic) -> None:
    result = round_trip(scalar)
    assert type(result) is type(scalar)
    assert result == scalar


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}, None], dtype=object),
        np.ma.array([1, 2], mask=[False, True]),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["text", "of any length"], dtype=np.dtypes.StringDType()),
        np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    ],
    ids=["object", "masked", "records", "strings", "aligned"],
)
def test_what_bytes_alone_do_not_tell_goes_by_pickle(array: np.ndarray[Any, Any]) -> None:
    result = round_trip(array, Codec(KEY))
    assert type(result) is type(array)
    assert result.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert result.tolist() == array.tolist()
    with pytest.raises(EncodingError, match="needs the Space's key"):
        Codec().encode(array)


def test_an_array_in_shared_memory_is_writable_private_and_not_copied(tmp_path: Path) -> None:
    store, codec = SharedMemoryStore(tmp_path, "here"), Codec()
    payload = to_payload(codec.encode(np.zeros(100_000)), store)
    read = [to_encoded(payload, store) for _ in range(2)]
    mine, theirs = (codec.decode(encoded.body, encoded.buffers) for encoded in read)
    mine[0] = 1.0
    assert np.shares_memory(mine, np.frombuffer(read[0].buffers[0]))
    assert theirs[0] == 0.0
    assert mine.ctypes.data % 64 == 0


torch: Any = pytest.importorskip("torch")  # any: torch is untyped here
DTYPES = [
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16"),
    *("float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"),
]


@pytest.mark.parametrize("name", DTYPES)
def test_a_tensor_of_every_dtype_comes_back(name: str) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(getattr(torch, name))
    result = round_trip(tensor)
    assert result.dtype is tensor.dtype
    assert result.shape == tensor.shape
    assert torch.equal(result.view(torch.uint8), tensor.view(torch.uint8))


VIDEO = torch.arange(360.0).reshape(1, 3, 4, 5, 6)
LAYOUTS = {
    "no dimension": torch.tensor(2.5),
    "empty": torch.zeros(0, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "channels last": VIDEO[:, :, 0].contiguous(memory_format=torch.channels_last),
    "one channel, last": VIDEO[:, :1, 0].contiguous(memory_format=torch.channels_last),
    "channels last, 3d": VIDEO.contiguous(memory_format=torch.channels_last_3d),
    "channels last, half": VIDEO[:, :, 0].to(torch.bfloat16, memory_format=torch.channels_last),
    "transposed": torch.arange(12.0).reshape(3, 4).T,
    "permuted": VIDEO.permute(4, 0, 2, 1, 3),
    "expanded": torch.ones(1, 3).expand(4, 3),
    "expanded, permuted": VIDEO.permute(4, 0, 2, 1, 3)[None].expand(2, -1, -1, -1, -1, -1),
    "every second": torch.arange(12.0)[::2],
    "a part": VIDEO[:, 1:, 1:3, ::2],
    "complex": torch.ones(2, 3, dtype=torch.complex64).T,
    "conjugated": torch.ones(2, 3, dtype=torch.complex64).T.conj(),
    "negated": torch._neg_view(torch.ones(2, 3)).T,
    "imaginary": torch.ones(2, dtype=torch.complex64).conj().imag,
    "large": torch.ones(100_000),
    "float8": torch.ones(4, 6).to(torch.float8_e4m3fn)[:, ::2].T,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tensor_of_any_layout_comes_back_with_its_strides(layout: str) -> None:
    """Only `copy.deepcopy` keeps as much, which takes all memory behind a view along."""
    tensor = LAYOUTS[layout]
    result = round_trip([tensor], Codec(KEY))[0]
    copied = copy.deepcopy(tensor)
    assert (result.shape, result.stride(), result.dtype) == (copied.shape, copied.stride(), copied.dtype)
    assert (result.is_conj(), result.is_neg()) == (copied.is_conj(), copied.is_neg())
    assert result.to(torch.complex128).tolist() == tensor.to(torch.complex128).tolist()


@pytest.mark.parametrize("layout", ["channels last", "transposed", "every second", "large"])
def test_a_tensor_is_its_receiver_s_own(layout: str) -> None:
    tensor = LAYOUTS[layout]
    result = round_trip(tensor)
    result.add_(1)
    assert not torch.equal(result, tensor)


def test_an_expanded_tensor_sends_each_element_once() -> None:
    assert Codec().encode(torch.ones(1000, 1).expand(1000, 10_000)).size_bytes < 5000


@pytest.mark.parametrize(
    "view",
    [torch.zeros(1000, 1000)[:, :10], torch.zeros(3_000_000)[::3], torch.arange(10.0).unfold(0, 3, 1)],
    ids=["columns", "every third", "windows"],
)
def test_a_view_of_little_of_its_memory_comes_back_as_its_clone(view: Any) -> None:
    encoded = Codec().encode(view)
    assert encoded.size_bytes < view.numel() * view.element_size() + 1000
    result = round_trip(view)
    assert torch.equal(result, view)
    assert result.stride() == view.clone().stride()


def test_forged_strides_reach_no_other_memory() -> None:
    honest = bytes(Codec().encode(torch.zeros(2, 3)).body)
    strides = bytes(Codec().encode([3, 1]).body)
    assert honest.count(strides) == 1
    for forged in ([4, 1], [3, 2**40], [-3, 1], [3]):
        with pytest.raises(EncodingError):
            Codec().decode(honest.replace(strides, Codec().encode(forged).body))


def test_a_parameter_keeps_its_strides_and_a_leaf_its_gradient() -> None:
    leaf = torch.ones(2, 3, requires_grad=True)
    (leaf * 2).sum().backward()
    parameter = torch.nn.Parameter(LAYOUTS["channels last"].clone(), requires_grad=True)
    parameter.grad = torch.ones_like(parameter)
    first, second = round_trip([leaf, parameter], Codec(KEY))
    assert first.grad.tolist() == [[2.0] * 3] * 2
    assert type(second) is torch.nn.Parameter
    assert second.stride() == second.grad.stride() == parameter.stride()


def test_sizes_dtypes_and_devices_need_no_key() -> None:
    value = [torch.Size([2, 3]), torch.float8_e5m2, torch.device("cuda:1"), torch.Size([])]
    assert [type(each) for each in round_trip(value)] == [type(each) for each in value]
    assert round_trip(value) == value


def test_a_tensor_that_requires_grad_still_does_and_is_a_leaf() -> None:
    result = round_trip(torch.ones(2, requires_grad=True) * 2)
    assert result.requires_grad
    assert result.is_leaf
    assert result.tolist() == [2.0, 2.0]


def test_what_is_no_plain_tensor_goes_by_pickle() -> None:
    codec = Codec(KEY)
    parameter = round_trip(torch.nn.Parameter(torch.ones(2), requires_grad=False), codec)
    assert type(parameter) is torch.nn.Parameter
    assert not parameter.requires_grad
    assert torch.equal(round_trip(torch.eye(3).to_sparse(), codec).to_dense(), torch.eye(3))
    assert round_trip(torch.Size([1, 2]), codec) == torch.Size([1, 2])


def test_a_small_module_goes_by_value() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    result = round_trip({"head": module}, Codec(KEY))["head"]
    assert type(result) is torch.nn.Sequential
    assert torch.equal(result[0].weight, module[0].weight)
    assert result[0].weight.requires_grad


def test_a_large_module_is_refused_with_the_remedy() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(5000, 5000))
    with pytest.raises(EncodingError, match=r"a torch module of 95 MB cannot be sent.*Create it at module level"):
        Codec(KEY).encode({"model": module})


def picture(mode: str) -> Image.Image:
    image = Image.radial_gradient("L").resize((33, 21))
    if mode in ("La", "RGBa"):
        return image.convert(mode[:-1] + "A").convert(mode)
    if mode in ("LAB", "HSV", "PA"):
        return image.convert("RGB").convert("P").convert("PA") if mode == "PA" else Image.new(mode, (33, 21), (1, 2, 3))
    return image.convert(mode)


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"],
)
def test_an_image_of_every_mode_comes_back(mode: str) -> None:
    image = picture(mode)
    result = round_trip(image)
    assert (result.mode, result.size) == (mode, (33, 21))
    assert result.tobytes() == image.tobytes()
    assert result.getpalette() == image.getpalette()
    result.putpixel((0, 0), result.getpixel((1, 1)))


def test_an_image_opened_from_a_file_is_a_plain_image_that_knows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    Image.new("RGB", (3, 3), "red").quantize().save(path, dpi=(72, 72), transparency=0)
    with Image.open(path) as opened:
        result = round_trip(opened)
    assert type(result) is Image.Image
    assert (result.format, vars(result)["filename"], result.info["transparency"]) == ("PNG", str(path), 0)
    assert result.convert("RGBA").getpixel((0, 0)) == (255, 0, 0, 0)


def test_an_image_whose_file_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with (
        Image.open(path) as image,
        pytest.raises(EncodingError, match=r"cannot be sent to another process: .*truncated"),
    ):
        Codec().encode(image)


def test_of_an_animation_the_current_frame_goes() -> None:
    file = io.BytesIO()
    Image.new("L", (2, 2), 0).save(file, "GIF", save_all=True, append_images=[Image.new("L", (2, 2), 255)])
    with Image.open(file) as animation:
        animation.seek(1)
        assert round_trip(animation).convert("L").getpixel((0, 0)) == 255


def test_an_empty_image_comes_back() -> None:
    assert round_trip(Image.new("RGB", (0, 5))).size == (0, 5)


def test_images_and_tensors_inside_objects_leave_the_pickle() -> None:
    encoded = Codec(KEY).encode(Holder(torch.ones(50_000), Image.new("RGB", (200, 200), "red")))
    assert sorted(map(len, encoded.buffers)) == [120_000, 200_000]
    result = Codec(KEY).decode(encoded.body, tuple(map(bytes, encoded.buffers)))
    assert torch.equal(result.tensor, torch.ones(50_000))
    assert result.image.getpixel((5, 5)) == (255, 0, 0)


class Holder:
    """Like the outputs of diffusers and transformers."""

    def __init__(self, tensor: Any, image: Image.Image) -> None:
        self.tensor = tensor
        self.image = image


def test_a_table_goes_by_pickle_with_its_columns_beside() -> None:
    pandas: Any = pytest.importorskip("pandas")  # any: pandas is untyped here
    table = pandas.DataFrame({"x": np.arange(20_000), "y": np.ones(20_000), "label": ["a", "b"] * 10_000})
    encoded = Codec(KEY).encode(table)
    assert encoded.buffers
    result = Codec(KEY).decode(encoded.body, tuple(map(bytes, encoded.buffers)))
    assert result.equals(table)
    result.loc[0, "x"] = 5
    assert result["x"][0] == 5


@pytest.mark.parametrize(
    "description", ["|O", "O", "T", "f8,O", [["a", "|O"]], ["a"], 5, "i4" * 99, [["a", "<f8", 5, 6]], ["|V8", ["x"]]]
)
def test_a_forged_dtype_is_refused(description: object) -> None:
    honest = Codec().encode(np.zeros(1))
    forged = bytes(honest.body).replace(b"\xa3<f8", Codec().encode(description).body)
    with pytest.raises(EncodingError):
        Codec().decode(forged)


def test_an_image_larger_than_its_pixels_is_refused_before_it_is_made() -> None:
    honest = Codec().encode(Image.new("L", (7, 9)))
    forged = bytes(honest.body).replace(b"\x92\x07\x09", Codec().encode([100_000, 1_000_000]).body)
    with pytest.raises(EncodingError, match="are no image of 100000x1000000 pixels"):
        Codec().decode(forged)


def test_what_is_known_of_an_image_comes_back(tmp_path: Path) -> None:
    """Pipelines write their prompts there as dicts; texts of a PNG that are not ASCII are of a class of PIL's own."""
    image = Image.new("RGB", (4, 4))
    image.info = {"prompt": {"steps": [20, (1, 2)]}, "dpi": (72, 72), "exif": b"Exif", "odd": object()}
    assert round_trip(image).info == {name: value for name, value in image.info.items() if name != "odd"}

    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("title", "Küche", "de", "Titel")
    texts.add_text("parameters", "a cat")
    image.save(tmp_path / "a.png", pnginfo=texts)
    with Image.open(tmp_path / "a.png") as opened:
        opened.load()
        info = round_trip(opened).info
    assert (info["parameters"], info["title"]) == ("a cat", "Küche")
    assert (type(info["title"]), info["title"].lang, info["title"].tkey) == (PngImagePlugin.iTXt, "de", "Titel")


def test_orientation_and_profile_of_a_photograph_come_back(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"profile", comment=b"hello")
    with Image.open(tmp_path / "a.jpg") as opened:
        result = round_trip(opened)
    assert result.getexif()[0x0112] == 6
    assert (result.info["icc_profile"], result.info["comment"], result.format) == (b"profile", b"hello", "JPEG")
