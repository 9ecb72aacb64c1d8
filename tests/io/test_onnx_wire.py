"""ONNX messages and tensors against the package onnx: what it writes is read, and what is written it reads."""

import math
import os
import tracemalloc

import numpy as np
import pytest

from nnfast.io.onnx import messages, wire
from nnfast.io.onnx.messages import AttributeProto, Dimension, ModelProto, TensorProto, TypeProto
from nnfast.io.onnx.tensors import DTYPES, from_array, to_array
from nnfast.io.onnx.wire import ARRAY, BYTES, DOUBLE, FLOAT, INT32, INT64, STRING, UINT64, VIEW, Message, field

onnx = pytest.importorskip("onnx")
numpy_helper = pytest.importorskip("onnx.numpy_helper")

NUMBERS = [0, 1, 127, 128, 300, 2**31 - 1, -1, -(2**31)]
LONG = [*NUMBERS, 2**63 - 1, -(2**63)]
RNG = np.random.default_rng(0)


class Inner(Message):
    a: int = field(1, INT64)
    b: int = field(2, INT64)
    text: str = field(3, STRING)


class Outer(Message):
    ints: list[int] = field(1, INT32, many=True)
    array = field(2, INT64, many=ARRAY)
    floats: list[float] = field(3, FLOAT, many=True)
    doubles = field(4, DOUBLE, many=ARRAY)
    inner: Inner | None = field(5, Inner)
    many: list[Inner] = field(6, Inner, many=True)
    content: bytes = field(7, BYTES)
    view = field(8, VIEW)
    large: int = field(9, UINT64)
    single: float = field(10, DOUBLE)


def same(mine, theirs):
    """Compare a message with that of onnx, field by field."""
    for name, described in mine._fields.items():
        value = getattr(mine, name)
        if described.many and isinstance(described.kind, type):
            assert len(value) == len(getattr(theirs, name))
            for a, b in zip(value, getattr(theirs, name), strict=True):
                same(a, b)
        elif isinstance(described.kind, type):
            assert (value is not None) == theirs.HasField(name), name
            if value is not None and value._fields:
                same(value, getattr(theirs, name))
        elif described.many:
            assert list(value) == list(getattr(theirs, name)), name
        else:
            assert mine.has(name) == theirs.HasField(name), name
            if mine.has(name):
                assert value == getattr(theirs, name), name


def model_of_onnx():
    """A model that uses every field that the messages have."""
    helper = onnx.helper
    kinds = onnx.TensorProto
    weights = numpy_helper.from_array(RNG.normal(size=(3, 4)).astype("f4"), "w")
    body = helper.make_graph([helper.make_node("Identity", ["q"], ["r"])], "body", [], [])
    attributes = {
        "f": 1.5,
        "i": -3,
        "s": "text",
        "floats": [0.5, -1.0],
        "ints": LONG,
        "strings": ["a", "\u00e9"],
        "t": weights,
        "tensors": [weights, weights],
        "g": body,
        "graphs": [body],
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="first"),
        helper.make_node("Any", ["y", ""], ["z", "u"], domain="own", **attributes),
    ]
    ends = [
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["N", 3, None])],
        [helper.make_tensor_value_info("z", kinds.INT64, [])],
    ]
    graph = helper.make_graph(nodes, "graph", *ends, [weights], doc_string="what it does", value_info=ends[0])
    function = helper.make_function("own", "Any", ["a"], ["b"], nodes[:1], [helper.make_opsetid("", 17)], ["alpha"])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=sets, producer_name="onnx", ir_version=9)
    helper.set_model_props(model, {"key": "value", "": "\u00e4"})
    return model


def test_what_onnx_writes_is_read():
    model = model_of_onnx()
    mine = ModelProto.parse(model.SerializeToString())
    same(mine, model)
    assert mine.serialize() == model.SerializeToString(deterministic=True)


def test_what_is_written_onnx_reads():
    mine = ModelProto.parse(model_of_onnx().SerializeToString())
    theirs = onnx.load_model_from_string(mine.serialize())
    assert theirs == model_of_onnx_again(mine)
    same(mine, theirs)


def model_of_onnx_again(mine):
    model = onnx.ModelProto()
    model.ParseFromString(mine.serialize())
    return model


@pytest.mark.parametrize("value", LONG)
def test_integers(value):
    assert AttributeProto.parse(onnx.AttributeProto(i=value).SerializeToString()).i == value
    theirs = onnx.AttributeProto.FromString(AttributeProto(i=value, ints=[value, value]).serialize())
    assert (theirs.i, list(theirs.ints)) == (value, [value, value])


def test_enumerations_are_those_of_onnx():
    for kind in messages.DataType:
        assert onnx.TensorProto.DataType.Value(kind.name) == kind
    for kind in messages.AttributeType:
        assert onnx.AttributeProto.AttributeType.Value(kind.name) == kind


def test_fields_are_those_of_onnx():
    for name in messages.__all__:
        theirs = getattr(onnx, name, None)
        if theirs is None or not hasattr(theirs, "DESCRIPTOR"):
            continue
        numbers = {f.name: f.number for f in theirs.DESCRIPTOR.fields}
        for mine, described in getattr(messages, name)._fields.items():
            assert numbers[mine] == described.number, f"{name}.{mine}"


def test_packed_and_unpacked():
    packed = b"\x0a\x03\x01\xac\x02" + b"\x12\x0b\x05" + b"\xff" * 9 + b"\x01" + b"\x1a\x04\0\0\x80\x3f"
    unpacked = b"\x08\x07" + b"\x10\x09" + b"\x1d\0\0\0\x40"
    made = Outer.parse(packed + unpacked + packed)
    assert made.ints == [1, 300, 7, 1, 300]
    assert made.array.tolist() == [5, -1, 9, 5, -1]
    assert made.floats == [1.0, 2.0, 1.0]
    assert len(Outer.parse(b"\x0a\0\x12\0").array) == 0


def test_a_message_given_twice_is_merged_and_a_number_replaced():
    made = Outer.parse(b"\x2a\x02\x08\x01" + b"\x2a\x02\x10\x02" + b"\x48\x01\x48\x02")
    assert (made.inner.a, made.inner.b, made.large) == (1, 2, 2)


def test_the_last_of_alternatives_counts():
    assert vars(Dimension.parse(b"\x08\x03\x12\x01N")) == {"dim_param": "N"}
    assert vars(Dimension.parse(b"\x12\x01N\x08\x03")) == {"dim_value": 3}
    assert vars(TypeProto.parse(b"\x0a\0\x22\0")).keys() == {"sequence_type"}


def test_unknown_fields_are_skipped():
    unknown = (
        b"\xa0\x06\x05",  # a number
        b"\xa1\x06" + bytes(8),
        b"\xa2\x06\x02ab",
        b"\xa5\x06" + bytes(4),
        b"\xa3\x06" + b"\x08\x01" + b"\xab\x06\xac\x06" + b"\xa4\x06",  # a group with a group in it
        b"\x09" + bytes(8),  # a number that has another size than that of the field
    )
    made = Outer.parse(b"".join(unknown) + b"\x3a\x01x")
    assert vars(made) == {"content": b"x"}


def test_bytes_are_not_copied():
    data = bytearray(TensorProto(raw_data=b"abcd").serialize())
    made = TensorProto.parse(data)
    data[-1] = ord("e")
    assert bytes(made.raw_data) == b"abce"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x48", "byte 1: expected a number of at most 10 bytes, got the end"),
        (b"\x48" + b"\xff" * 11, "byte 1: expected a number of at most 10 bytes, got more"),
        (b"\x3a\x05abcd", "byte 1: expected at most the 4 bytes that follow, got a length of 5"),
        (b"\x3a" + b"\xff" * 9 + b"\x01", "byte 1: expected at most the 0 bytes"),
        (b"\x2a\x03\x1a\x01\xff", "byte 4: expected text in UTF-8, got the byte 0xff"),
        (b"\x1a\x03abc", "byte 2: expected numbers of 4 bytes each, got 3 bytes"),
        (b"\x0a\x01\x80", "byte 3: expected a number to end before it"),
        (b"\x0a\x0c" + b"\xff" * 11 + b"\0", "byte 2: expected a number of at most 10 bytes, got 12"),
        (b"\x51abc", "byte 1: expected a number of 8 bytes, got 3 bytes"),
        (b"\x00\x01", "byte 0: expected a field number from 1"),
        (b"\x0c", "byte 0: expected the beginning of a field, got the wire type 4"),
        (b"\x0f", "byte 0: expected the beginning of a field, got the wire type 7"),
        (b"\xa3\x06\x0c", "byte 2: expected the end of the group 100, got that of 1"),
        (b"\xa3\x06", "byte 0: expected a group that ends"),
        (b"\xa3\x06" * 200, "expected groups nested at most 100 deep"),
    ],
)
def test_damaged(data, text):
    with pytest.raises(ValueError, match=text):
        Outer.parse(data)


def test_deep_nesting_is_refused():
    body = b""
    for _ in range(200):  # a graph with a node with an attribute with a graph ...
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            body = tag + wire._varint(len(body)) + body
    with pytest.raises(ValueError, match="nested at most 100 deep"):
        messages.GraphProto.parse(body)


def test_many_empty_messages_are_refused(monkeypatch):
    monkeypatch.setattr(wire, "MAX_MESSAGES", 1000)
    assert len(messages.GraphProto.parse(b"\x0a\0" * 999).node) == 999
    with pytest.raises(ValueError, match="byte 2000: expected at most 1000 messages"):
        messages.GraphProto.parse(b"\x0a\0" * 1000)


def test_too_large_to_write(monkeypatch):
    monkeypatch.setattr(wire, "_MAX_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 bytes, the limit of protocol buffers, got 12"):
        TensorProto(raw_data=bytes(10)).serialize()


def test_unknown_names():
    with pytest.raises(TypeError, match="TensorProto: expected one of the fields"):
        TensorProto(shape=[3])


# ---- tensors ---------------------------------------------------------------------


def random_array(dtype, shape):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return RNG.random(shape) < 0.5
    if kind in "iu":
        limits = np.iinfo(dtype)
        return RNG.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    made = RNG.normal(size=shape) * (1 + 1j if kind == "c" else 1)
    return np.asarray(made).astype(dtype)


@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 3), (2, 3)])
@pytest.mark.parametrize("dtype", DTYPES.values())
def test_arrays(dtype, shape):
    array = random_array(dtype, shape)
    theirs = numpy_helper.from_array(array, "w")
    mine = TensorProto.parse(theirs.SerializeToString())
    np.testing.assert_array_equal(to_array(mine), array)
    assert to_array(mine).dtype == array.dtype
    back = onnx.TensorProto.FromString(from_array(array, "w").serialize())
    assert back == theirs
    numbers = onnx.helper.make_tensor("w", theirs.data_type, shape, array.reshape(-1).tolist())
    np.testing.assert_array_equal(to_array(TensorProto.parse(numbers.SerializeToString())), array)


SMALL = [
    "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0",
    "FLOAT4E2M1", "UINT4", "INT4", "UINT2", "INT2",
]  # fmt: skip


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", SMALL)
def test_types_that_numpy_lacks(kind, raw):
    number = onnx.TensorProto.DataType.Value(kind)
    bits = 16 if kind == "BFLOAT16" else int("".join(filter(str.isdigit, kind.split("E")[0].replace("N", "")))[:2])
    patterns = np.arange(1 << bits, dtype=np.uint16) if bits > 4 else np.arange(1 << bits, dtype=np.uint8)
    per = max(1, 8 // bits)
    if bits < 8:
        patterns = np.resize(patterns, 3 * per + 1)  # the last byte is not full
        padded = np.concatenate([patterns, np.zeros(-len(patterns) % per, np.uint8)]).reshape(-1, per)
        stored = np.bitwise_or.reduce(padded << np.arange(per, dtype=np.uint8) * bits, axis=1).astype(np.uint8)
    else:
        stored = patterns.astype("<u2" if bits == 16 else "u1")
    theirs = onnx.TensorProto(data_type=number, dims=[len(patterns)])
    if raw:
        theirs.raw_data = stored.tobytes()
    else:
        theirs.int32_data.extend(stored.tolist())
    mine = to_array(TensorProto.parse(theirs.SerializeToString()))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(mine, numpy_helper.to_array(theirs).astype(mine.dtype))


def test_strings():
    theirs = onnx.helper.make_tensor("s", onnx.TensorProto.STRING, [2], ["a", "\u00e9"])
    assert to_array(TensorProto.parse(theirs.SerializeToString())).tolist() == [b"a", "\u00e9".encode()]


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (TensorProto(dims=[2], data_type=1, raw_data=bytes(7)), "expected 8 bytes for its shape, got 7"),
        (TensorProto(dims=[1 << 40], data_type=1), "expected 1099511627776 numbers in float_data"),
        (TensorProto(dims=[1 << 40], data_type=8), "expected 1099511627776 strings"),
        (TensorProto(dims=[-1], data_type=1), "expected up to 64 sizes from 0 on"),
        (TensorProto(dims=[0, 1 << 62], data_type=1), "expected up to 64 sizes from 0 on"),
        (TensorProto(dims=[1] * 65, data_type=1, raw_data=bytes(4)), "expected up to 64 sizes from 0 on"),
        (TensorProto(dims=[1], data_type=99), "expected a known type of elements, got number 99"),
        (TensorProto(dims=[1]), "expected a type of its elements, got none"),
        (TensorProto(dims=[3], data_type=22, raw_data=bytes(1)), "expected 2 bytes"),
        (TensorProto(dims=[3], data_type=14, float_data=[1.0] * 5), "expected 6 numbers in float_data"),
    ],
)
def test_sizes_are_checked_before_anything_is_allocated(tensor, text):
    with pytest.raises(ValueError, match=text):
        to_array(TensorProto.parse(tensor.serialize()))


def test_dtypes_that_onnx_lacks():
    with pytest.raises(TypeError, match="got datetime64"):
        from_array(np.zeros(3, "M8[s]"))


# ---- external data ---------------------------------------------------------------


def external(**entries):
    made = [messages.StringStringEntryProto(key=key, value=str(value)) for key, value in entries.items()]
    return TensorProto(name="w", dims=[4], data_type=1, data_location=1, external_data=made)


def test_external_data_of_onnx(tmp_path):
    model = model_of_onnx()
    weights = numpy_helper.to_array(model.graph.initializer[0])
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    mine = ModelProto.parse((tmp_path / "m.onnx").read_bytes()).graph.initializer[0]
    assert mine.data_location == 1
    np.testing.assert_array_equal(to_array(mine, tmp_path), weights)
    with pytest.raises(ValueError, match=r"got the file 'm\.bin'; pass the model's path"):
        to_array(mine)


def test_external_data_stay_within_the_folder(tmp_path):
    (tmp_path / "outside").write_bytes(bytes(16))
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "w").write_bytes(np.arange(6, dtype="<f4").tobytes())
    (folder / "sub" / "w").write_bytes(bytes(16))
    np.testing.assert_array_equal(to_array(external(location="w", offset=8), folder), [2, 3, 4, 5])
    np.testing.assert_array_equal(to_array(external(location="sub/w"), folder), np.zeros(4))
    os.symlink(tmp_path / "outside", folder / "link")
    os.symlink(tmp_path, folder / "up")
    os.symlink(folder / "w", folder / "inside")
    np.testing.assert_array_equal(to_array(external(location="inside", offset=0, length=16), folder), range(4))
    names = ["../outside", "sub/../../outside", str(tmp_path / "outside"), "link", "up/outside", "", ".", "a\0b"]
    for name in [*names, "..\\outside", "C:\\outside"]:
        with pytest.raises(ValueError, match=r"tensor 'w': expected a file within the folder"):
            to_array(external(location=name), folder)


def test_external_data_of_other_sizes(tmp_path):
    (tmp_path / "w").write_bytes(bytes(20))
    os.mkfifo(tmp_path / "pipe")
    for entries, text in (
        ({"location": "w", "offset": 8}, "expected 16 bytes from 8 on in .*, got a file of 20 bytes"),
        ({"location": "w", "length": 12}, "expected 16 bytes for its shape, got 12"),
        ({"location": "w", "offset": -4}, "expected a whole number from 0 on as offset of its data, got '-4'"),
        ({"location": "w", "offset": "9" * 30}, "expected a whole number"),
        ({"location": "missing"}, "expected its data in the file"),
        ({"location": "pipe"}, "expected a regular file, got a pipe"),
    ):
        with pytest.raises(ValueError, match=text):
            to_array(external(**entries), tmp_path)
    large = external(location="w")
    large.dims = [1 << 40]
    with pytest.raises(ValueError, match="got a file of 20 bytes"):
        to_array(large, tmp_path)


# ---- mutants ---------------------------------------------------------------------


def mutant(rng, data):
    """Damaged bytes: some replaced, a part cut out, repeated or taken from elsewhere."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(made)))
        length = int(rng.integers(1, 20))
        kind = rng.integers(5) if len(made) > 40 else 0
        if kind == 0:
            made[at] = int(rng.integers(256))
        elif kind == 1:
            made[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del made[at : at + length]
        elif kind == 3:
            made[at:at] = made[int(rng.integers(len(made))) :][:length]
        else:
            del made[max(1, at) :]
    return bytes(made)


def try_mutants(count, seed):
    """Every mutant is read as onnx reads it, or refused with a position; returns how many were read."""
    data = model_of_onnx().SerializeToString()
    rng = np.random.default_rng(seed)
    readable = 0
    tracemalloc.start()
    for _ in range(count):
        damaged = mutant(rng, data)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        mine, error = outcome(ModelProto.parse, damaged)
        assert tracemalloc.get_traced_memory()[1] - before < 10_000 + 1000 * len(damaged)
        if mine is None:
            assert error.startswith("byte ")
            continue
        readable += 1
        again = ModelProto.parse(mine.serialize())
        assert repr_of(again) == repr_of(mine)
        for tensor in mine.graph.initializer if mine.graph else ():
            array, error = outcome(to_array, tensor)
            assert error.startswith("tensor ") if array is None else array.size == math.prod(tensor.dims)
        try:
            theirs = onnx.load_model_from_string(damaged)
        except Exception:
            continue  # it refuses what it does not need to, such as text that is not UTF-8 in unknown places
        same_numbers(mine, theirs)
    tracemalloc.stop()
    return readable


def outcome(function, argument):
    """The result of a call, or None and the text of its ValueError."""
    try:
        return function(argument), ""
    except ValueError as error:
        return None, str(error)


def repr_of(message):
    return repr(message.serialize())


def same_numbers(mine, theirs):
    graph = mine.graph or messages.GraphProto()
    assert len(graph.node) == len(theirs.graph.node)
    for a, b in zip(graph.node, theirs.graph.node, strict=True):
        assert list(a.input) == list(b.input)
        assert [list(x.ints) for x in a.attribute] == [list(x.ints) for x in b.attribute]


def test_mutants():
    assert 20 < try_mutants(300, 0) < 280


@pytest.mark.slow
def test_many_mutants():
    assert 0 < try_mutants(5000, 1) < 5000
