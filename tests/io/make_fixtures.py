#!/usr/bin/env python3
"""Writes the files of fixtures/ with NumPy and torch, the oracles the readers are held against.

Run without arguments, by a Python with NumPy and torch (1.13 wrote the committed files); the files
are committed, so only a change of this script needs it. Number (i, j) of the 5 x 3 arrays is
k = 3 i + j put through `values` below, which files.h repeats.
"""
import collections
import json
import os
import struct

import numpy as np
import torch
from numpy.lib import format as npy

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


def values(dtype):
    k = np.arange(15).reshape(5, 3)
    kind = np.dtype(dtype).kind
    if kind == "f":
        k = k * 0.25 - 1.5
    elif kind == "i":
        k = 3 * k - 7
    elif kind == "u":
        k = 3 * k
    return k.astype(dtype)


def save(name, array, version=(1, 0)):
    with open(os.path.join(HERE, name + ".npy"), "wb") as file:
        npy.write_array(file, array, version=version)


os.makedirs(HERE, exist_ok=True)
for name in ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "i8"]:
    save(name + "_c", values("<" + name))
    save(name + "_fortran", np.asfortranarray(values("<" + name)))
    if name not in ("i1", "u1"):
        save(name + "_big", values(">" + name))
        save(name + "_big_fortran", np.asfortranarray(values(">" + name)))

save("version2", values("<f4"), (2, 0))
save("version3", values("<f4"), (3, 0))
save("one_dimension", values("<f4").reshape(-1))
save("no_rows", np.zeros((0, 7), "<f4"))
save("one_row", values("<f4")[:1])
save("one_number", values("<f4")[:, :1].copy())
save("no_numbers", np.zeros((4, 0), "<f4"))
save("nothing", np.zeros((0,), "<f4"))
save("scalar", np.array(1.5, "<f4"))
save("three_dimensions", np.zeros((2, 3, 4), "<f4"))
save("objects", np.array([[1, "a"], [None, 2.5]], dtype=object))
save("bool", np.zeros((2, 2), "?"))
save("unsigned4", np.zeros((2, 2), "<u4"))
save("complex", np.zeros((2, 2), "<c8"))
save("text", np.array([["song", "titles"]]))
save("records", np.zeros((3,), [("id", "<i4"), ("vector", "<f4", (2,))]))
save("not_finite", np.array([[np.nan, np.inf, -np.inf]], "<f2"))


# ---- .pt, in both containers ----

def torch_values(dtype):
    """The same numbers; torch has bfloat16 and NumPy has not."""
    name = str(dtype).replace("torch.", "")
    if name == "bfloat16":
        return torch.from_numpy(values("<f4")).to(dtype)
    return torch.from_numpy(values(name))


def save_torch(name, value, **options):
    for container, new in (("zip", True), ("legacy", False)):
        torch.save(value, os.path.join(HERE, f"{name}_{container}.pt"),
                   _use_new_zipfile_serialization=new, **options)


for name, dtype in [("f16", torch.float16), ("bf16", torch.bfloat16), ("f32", torch.float32),
                    ("f64", torch.float64), ("u8", torch.uint8), ("i8", torch.int8),
                    ("i16", torch.int16), ("i32", torch.int32), ("i64", torch.int64)]:
    save_torch(name, torch_values(dtype))

x = torch_values(torch.float32)
wide = torch.full((7, 9), 99.0)
wide[1:6, 2:8:2] = x
save_torch("strided", wide[1:6, 2:8:2])
save_torch("transposed", x.t().contiguous().t())
save_torch("expanded", x[:1].expand(5, 3))
save_torch("shared", {"first": x[:2], "second": x[2:], "rest": [x[:1], x[4:]]})
save_torch("vector", x.reshape(-1))
save_torch("scalar", torch.tensor(1.5))
save_torch("parameter", torch.nn.Parameter(x))
attributed = x.clone()
attributed.note = "an attribute"
save_torch("attributed", attributed)
save_torch("crema", {"data": list(x), "labels": ["a", "a", "b\u00e9", "b\u00e9", "c"]})
save_torch("segments", [x[:2], x[2:3], x[3:]])
save_torch("segments_labelled", {"embeddings": [x[:2], x[2:3], x[3:]], "work_id": [7, 7, 8],
                                 "track_id": ["p", "q", "r"]})
save_torch("three", torch.stack([x, x + 4]))
save_torch("three_strided", torch.stack([x, x + 4]).transpose(0, 1))
save_torch("tuple", (x, ["a", "b", "a", "b", "c"]))
save_torch("named", {f"song {i}": x[i] for i in range(5)})
save_torch("state", collections.OrderedDict([("lin1.weight", x), ("lin1.bias", x[:, 0].clone()),
                                             ("steps", torch.tensor(3))]))
save_torch("nested", {"epoch": 3, "model": {"lin1": {"weight": x}, "lin2.weight": x + 4}})
save_torch("module_state", torch.nn.Sequential(
    torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict())
save_torch("two", {"train": x, "test": x[:2]})
save_torch("nothing", {"epoch": 3, "loss": 0.5})
save_torch("bool", torch.zeros(2, 2, dtype=torch.bool))
save_torch("complex", torch.zeros(2, 2, dtype=torch.complex64))
save_torch("lists", {"rows": x.tolist(), "ragged": [[1.0, 2.0], [3.0]], "device": x.device})
save_torch("no_rows", torch.zeros(0, 3))
save_torch("protocol4", {"data": x, "labels": list("abcde")}, pickle_protocol=4)
save_torch("clews", [{"a": {"clique": "w1", "file": "x"}, "b": {"clique": "w1", "file": "y"},
                      "c": {"clique": "w2", "file": "z"}},
                     {"train": {"w1": ["a", "b"]}, "test": {"w2": ["c"]}}])
save_torch("module", torch.nn.Linear(3, 4))
save_torch("object_array", {"data": np.array([[1, "a"]], dtype=object)})

# NumPy's arrays and numbers among plain values, in each way that a protocol has for their bytes.
n = values("<f4")
words = np.array(["a", "a", "b\u00e9", "b\u00e9", "c"])
for suffix, options in (("", {}), ("_protocol4", {"pickle_protocol": 4}),
                        ("_protocol5", {"pickle_protocol": 5})):
    save_torch("numpy" + suffix, {"data": n, "labels": words, "ids": np.arange(5)}, **options)
    save_torch("numpy_kinds" + suffix, {
        "big": np.asfortranarray(values(">f8")), "half": values("<f2"), "bytes": values("|u1"),
        "rows": list(n), "segments": [n[:2], n[2:3], n[3:]], "strided": np.tile(n.repeat(2, 0), 2)[::2, 3:],
        "classes": list(np.array([7, -7, 1 << 40])), "names": list(words),
        "objects": np.array(["x", "y"], dtype=object), "none": np.zeros((0, 3), "<f4"),
        "flags": np.zeros((2, 2), "?"), "records": np.zeros(3, [("id", "<i4")]),
        "mixed": np.array([[1, "a"]], dtype=object), "raw": b"\xff\0", "type": np.dtype("f4"),
        "loss": np.float32(0.5), "losses": [np.float64(0.1), np.float16(2)],
        "single": np.array(1.5), "done": np.bool_(True), "day": np.datetime64("2020-01-01")},
        **options)

loop = [x]
loop.append(loop)
save_torch("loop", loop)
deep = []
for _ in range(200):
    deep = [deep]
save_torch("deep", deep)

# ---- .npz ----


def npz(name, packed, **arrays):
    write = np.savez_compressed if packed else np.savez
    write(os.path.join(HERE, name + ".npz"), **arrays)


for name, packed in (("stored", False), ("deflated", True)):
    npz(name, packed, data=values("<f4"), labels=np.array(["a", "a", "b\u00e9", "b\u00e9", "c"]),
        ids=np.array([b"p", b"qq", b"r", b"s", b"t"]))
    npz(name + "_fortran", packed, x=np.asfortranarray(values(">f8")))
npz("others", False, numbers=values("<i2"), objects=np.array([1, "a"], dtype=object),
    flags=np.zeros((2, 2), "?"), big=np.array(["w1", "w2"], ">U2"), classes=np.array([7, -7]),
    records=np.zeros((3,), [("id", "<i4")]), scalar=np.array(1.5), empty=np.zeros((0, 3)))
npz("segments", True, x=np.stack([values("<f4"), values("<f4") + 4]), labels=np.array(["a", "b"]))

# ---- .safetensors, by its description ----


def safetensors(name, tensors, **metadata):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for key, (dtype, array) in tensors.items():
        start = len(data)
        data += array.tobytes()
        header[key] = {"dtype": dtype, "shape": list(array.shape),
                       "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(HERE, name + ".safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


for name in ("F16", "F32", "F64", "I8", "U8", "I16", "U16", "I32", "I64"):
    kind, size = name[0].lower(), int(name[1:]) // 8
    safetensors(name.lower(), {"x": (name, values(f"<{kind}{size}"))})
halves = (values("<f4").view("<u4") >> 16).astype("<u2")  # exact: the numbers are short
safetensors("bf16", {"x": ("BF16", halves)}, format="pt")
safetensors("model", {"lin1.weight": ("F32", values("<f4")), "bias": ("F32", np.zeros(4, "<f4")),
                      "mask": ("BOOL", np.zeros((2, 2), "?")), "tiny": ("F8_E4M3",
                                                                       np.zeros(3, "u1")),
                      "labels": ("I64", np.arange(5)), "step": ("I64", np.array(3))})
