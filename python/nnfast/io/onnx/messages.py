"""The messages of ONNX, one table of fields each: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

A field that is absent reads as the default value of its type: 0, "", an empty tuple where there may be many, and None
for a message. `Message.has` tells whether it was set. Fields that nnfast has no use for are skipped in reading.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from nnfast.io.onnx.wire import (
    ARRAY,
    BYTES,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    UINT64,
    VIEW,
    Message,
    field,
)

__all__ = [
    "AttributeProto",
    "AttributeType",
    "DataType",
    "Dimension",
    "FunctionProto",
    "GraphProto",
    "ModelProto",
    "NodeProto",
    "OperatorSetIdProto",
    "SparseTensorProto",
    "StringStringEntryProto",
    "TensorProto",
    "TensorShapeProto",
    "TensorType",
    "TypeProto",
    "ValueInfoProto",
]


class DataType(IntEnum):
    """Types of the elements of a tensor."""

    UNDEFINED = 0
    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    UINT16 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    STRING = 8
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11
    UINT32 = 12
    UINT64 = 13
    COMPLEX64 = 14
    COMPLEX128 = 15
    BFLOAT16 = 16
    FLOAT8E4M3FN = 17
    FLOAT8E4M3FNUZ = 18
    FLOAT8E5M2 = 19
    FLOAT8E5M2FNUZ = 20
    UINT4 = 21
    INT4 = 22
    FLOAT4E2M1 = 23
    FLOAT8E8M0 = 24
    UINT2 = 25
    INT2 = 26


class AttributeType(IntEnum):
    """Types of attributes; each has its field."""

    UNDEFINED = 0
    FLOAT = 1
    INT = 2
    STRING = 3
    TENSOR = 4
    GRAPH = 5
    FLOATS = 6
    INTS = 7
    STRINGS = 8
    TENSORS = 9
    GRAPHS = 10
    SPARSE_TENSOR = 11
    SPARSE_TENSORS = 12
    TYPE_PROTO = 13
    TYPE_PROTOS = 14


class StringStringEntryProto(Message):
    """A key and a value."""

    key: str = field(1, STRING)
    value: str = field(2, STRING)


class OperatorSetIdProto(Message):
    """A domain of operators, and the version of its set; the default domain is ""."""

    domain: str = field(1, STRING)
    version: int = field(2, INT64)


class TensorProto(Message):
    """An array; see `nnfast.io.onnx.tensors`."""

    dims: Sequence[int] = field(1, INT64, many=True)
    data_type: int = field(2, INT32)
    float_data: Sequence[float] | array[float] = field(4, FLOAT, many=ARRAY)
    int32_data: Sequence[int] | array[int] = field(5, INT32, many=ARRAY)
    string_data: Sequence[bytes] = field(6, BYTES, many=True)
    int64_data: Sequence[int] | array[int] = field(7, INT64, many=ARRAY)
    name: str = field(8, STRING)
    raw_data: Any = field(9, VIEW)
    double_data: Sequence[float] | array[float] = field(10, DOUBLE, many=ARRAY)
    uint64_data: Sequence[int] | array[int] = field(11, UINT64, many=ARRAY)
    doc_string: str = field(12, STRING)
    external_data: Sequence[StringStringEntryProto] = field(13, StringStringEntryProto, many=True)
    data_location: int = field(14, INT32)
    """1 if the data are in another file, described by `external_data`."""


class SparseTensorProto(Message):
    """A sparse array; nnfast only refuses it."""

    values: TensorProto | None = field(1, TensorProto)
    indices: TensorProto | None = field(2, TensorProto)
    dims: Sequence[int] = field(3, INT64, many=True)


class Dimension(Message):
    """The size of an axis: a number, a name, or neither."""

    one_of = ("dim_value", "dim_param")
    dim_value: int | None = field(1, INT64, default=None)
    dim_param: str | None = field(2, STRING, default=None)
    denotation: str = field(3, STRING)


class TensorShapeProto(Message):
    """The sizes of all axes."""

    dim: Sequence[Dimension] = field(1, Dimension, many=True)


class TensorType(Message):
    """The type of a tensor; `shape` is None if not even the number of axes is known."""

    elem_type: int = field(1, INT32)
    shape: TensorShapeProto | None = field(2, TensorShapeProto)


class OtherType(Message):
    """Sequences, maps, optional values, sparse and opaque tensors, which nnfast only refuses."""


class TypeProto(Message):
    """The type of a value."""

    one_of = ("tensor_type", "sequence_type", "map_type", "opaque_type", "sparse_tensor_type", "optional_type")
    tensor_type: TensorType | None = field(1, TensorType)
    sequence_type: OtherType | None = field(4, OtherType)
    map_type: OtherType | None = field(5, OtherType)
    denotation: str = field(6, STRING)
    opaque_type: OtherType | None = field(7, OtherType)
    sparse_tensor_type: OtherType | None = field(8, OtherType)
    optional_type: OtherType | None = field(9, OtherType)


class ValueInfoProto(Message):
    """The name and the type of a value."""

    name: str = field(1, STRING)
    type: TypeProto | None = field(2, TypeProto)
    doc_string: str = field(3, STRING)


class AttributeProto(Message):
    """An option of a node. `type` says which field has the value; `ref_attr_name` is for nodes of functions."""

    name: str = field(1, STRING)
    f: float = field(2, FLOAT)
    i: int = field(3, INT64)
    s: bytes = field(4, BYTES)
    t: TensorProto | None = field(5, TensorProto)
    g: GraphProto | None
    floats: Sequence[float] = field(7, FLOAT, many=True)
    ints: Sequence[int] = field(8, INT64, many=True)
    strings: Sequence[bytes] = field(9, BYTES, many=True)
    tensors: Sequence[TensorProto] = field(10, TensorProto, many=True)
    graphs: Sequence[GraphProto]
    doc_string: str = field(13, STRING)
    tp: TypeProto | None = field(14, TypeProto)
    type_protos: Sequence[TypeProto] = field(15, TypeProto, many=True)
    type: int = field(20, INT32)
    ref_attr_name: str = field(21, STRING)
    sparse_tensor: SparseTensorProto | None = field(22, SparseTensorProto)
    sparse_tensors: Sequence[SparseTensorProto] = field(23, SparseTensorProto, many=True)


class NodeProto(Message):
    """An operation on named values; an input "" is left out."""

    input: Sequence[str] = field(1, STRING, many=True)
    output: Sequence[str] = field(2, STRING, many=True)
    name: str = field(3, STRING)
    op_type: str = field(4, STRING)
    attribute: Sequence[AttributeProto] = field(5, AttributeProto, many=True)
    doc_string: str = field(6, STRING)
    domain: str = field(7, STRING)
    overload: str = field(8, STRING)


class GraphProto(Message):
    """Nodes in the order of execution, and values that are known."""

    node: Sequence[NodeProto] = field(1, NodeProto, many=True)
    name: str = field(2, STRING)
    initializer: Sequence[TensorProto] = field(5, TensorProto, many=True)
    doc_string: str = field(10, STRING)
    input: Sequence[ValueInfoProto] = field(11, ValueInfoProto, many=True)
    output: Sequence[ValueInfoProto] = field(12, ValueInfoProto, many=True)
    value_info: Sequence[ValueInfoProto] = field(13, ValueInfoProto, many=True)
    sparse_initializer: Sequence[SparseTensorProto] = field(15, SparseTensorProto, many=True)


AttributeProto.add_fields(g=field(6, GraphProto), graphs=field(11, GraphProto, many=True))


class FunctionProto(Message):
    """An operation that consists of others."""

    name: str = field(1, STRING)
    input: Sequence[str] = field(4, STRING, many=True)
    output: Sequence[str] = field(5, STRING, many=True)
    attribute: Sequence[str] = field(6, STRING, many=True)
    node: Sequence[NodeProto] = field(7, NodeProto, many=True)
    doc_string: str = field(8, STRING)
    opset_import: Sequence[OperatorSetIdProto] = field(9, OperatorSetIdProto, many=True)
    domain: str = field(10, STRING)
    attribute_proto: Sequence[AttributeProto] = field(11, AttributeProto, many=True)
    value_info: Sequence[ValueInfoProto] = field(12, ValueInfoProto, many=True)
    overload: str = field(13, STRING)


class ModelProto(Message):
    """A file: a graph, and the sets of operators that it uses."""

    ir_version: int = field(1, INT64)
    producer_name: str = field(2, STRING)
    producer_version: str = field(3, STRING)
    domain: str = field(4, STRING)
    model_version: int = field(5, INT64)
    doc_string: str = field(6, STRING)
    graph: GraphProto | None = field(7, GraphProto)
    opset_import: Sequence[OperatorSetIdProto] = field(8, OperatorSetIdProto, many=True)
    metadata_props: Sequence[StringStringEntryProto] = field(14, StringStringEntryProto, many=True)
    functions: Sequence[FunctionProto] = field(25, FunctionProto, many=True)
