#!/usr/bin/env python3
"""Writes the .h5 files of fixtures/h5/ with h5py, the oracle the reader is held against.

Run without arguments; the files are committed, so only a change of this script needs it. Number
(i, j) of a matrix is k = width * i + j put through `values`, which test_hdf5.c repeats.
"""
import os

import h5py
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "h5")


def values(dtype, *shape):
    k = np.arange(int(np.prod(shape))).reshape(shape)
    kind = np.dtype(dtype).kind
    if kind == "f":
        k = k * 0.25 - 1.5
    elif kind == "i":
        k = 3 * k - 7
    else:
        k = 3 * k
    return k.astype(dtype)


def new(name):
    return h5py.File(os.path.join(HERE, name + ".h5"), "w")


os.makedirs(HERE, exist_ok=True)

# Every type in both byte orders, as one block and in compressed chunks that do not fit the shape.
with new("types") as file:
    for name in ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "i8"]:
        for order, sign in [("little", "<"), ("big", ">")]:
            data = values(sign + name, 5, 3)
            file[f"{order}/plain/{name}"] = data
            file.create_dataset(f"{order}/chunked/{name}", data=data, chunks=(2, 2),
                                compression="gzip", shuffle=True)

with new("single") as file:
    file["embeddings"] = values("<f4", 5, 3)
    file["labels"] = ["a", "b", "a", "Ün\u00efcode", "b"]
    file["track_id"] = np.array([b"t0", b"t1", b"t2", b"t3", b"t4"])

with new("number_labels") as file:
    file.create_dataset("x", data=values("<f4", 5, 3), chunks=(2, 3))
    file["label"] = np.array([7, -1, 7, 0, 2], ">i2")

with new("ann") as file:
    file["train"] = values("<f4", 6, 4)
    file["test"] = values("<f4", 2, 4)
    file["neighbors"] = np.zeros((2, 3), "<i4")
    file["distances"] = np.zeros((2, 3), "<f4")

# Texts of any length in chunks, of which one was never written, and as attributes.
with new("texts") as file:
    file["embeddings"] = values("<f4", 5, 3)
    labels = file.create_dataset("labels", (5,), h5py.string_dtype(), chunks=(2,), compression="gzip")
    labels[:4] = ["a", "b", "", "Ün\u00efcode"]
    file["embeddings"].attrs["track_id"] = [f"t{i}" * i for i in range(5)]
with h5py.File(os.path.join(HERE, "texts_latest.h5"), "w", libver="latest") as file:
    file["embeddings"] = values("<f4", 5, 3)
    file.create_dataset("labels", data=["a", "b", "a", "c", "b"], dtype=h5py.string_dtype(), chunks=(3,))
    for i in range(12):  # so many that they leave the object's header
        file.attrs[f"note{i}"] = "as long as can be " * i
    file.attrs["track_id"] = [f"t{i}" for i in range(5)]

# A recording as deepdish keeps it: data sets by feature, what it is as attributes of the root.
with new("recording") as file:
    file.attrs["label"] = "W_22"
    file.attrs["track_id"] = np.bytes_("P_41")
    file.create_dataset("crema", data=values("<f4", 4, 3), chunks=(1, 3), compression="gzip")
    file["madmom/novelty"] = values("<f8", 7)
    file["madmom/tempos"] = values("<f8", 2, 2)

# deepdish: a dict of lists; the texts of a list are attributes.
with new("deepdish") as file:
    group = file.create_group("data")
    group.attrs["TITLE"] = "list:12"
    for i in range(12):
        group[f"i{i}"] = values("<f4", 3) + i
    group = file.create_group("ragged")
    for i, count in enumerate([2, 1, 3]):
        group.create_dataset(f"i{i}", data=values("<f4", count, 3) + 100 * i, chunks=(1, 3))
    for i in range(12):
        file.require_group("labels").attrs[f"i{i}"] = f"W_{i // 2}"

with new("segments") as file:
    file.create_dataset("embeddings", data=values("<f4", 4, 5, 3), chunks=(3, 2, 2),
                        compression="gzip")
    file["ids"] = np.array([b"a", b"b", b"c"])  # one too few: they belong to something else
    file["clique"] = ["x", "x", "y", "z"]

with new("recordings") as file:
    for name in ["P_2", "P_10", "P_1"]:
        file[f"songs/{name}"] = values("<f4", 3) + int(name[2:])

# A similarity matrix as acoss keeps several: EarlyFusion's members.
with new("Ds") as file:
    for i, name in enumerate(["chroma", "early"]):
        n = np.arange(6)
        file.create_dataset(name, data=(np.cos(n[:, None] * (i + 1.0) - n) + 0.01 * n).astype("<f4"),
                            chunks=(4, 4), compression="gzip")

# What holds no embeddings.
with new("odd") as file:
    file["number"] = 1.5
    file["records"] = np.zeros(3, [("id", "<i4"), ("vector", "<f4", (2,))])
    file["truth"] = np.zeros((2, 2), "?")
    file["complex"] = np.zeros((2, 2), "<c8")
    file["unsigned"] = np.zeros((2, 2), "<u4")
    file["four"] = np.zeros((1, 2, 3, 4), "<f4")
    file["no_numbers"] = np.zeros((4, 0), "<f4")
    file["no_rows"] = np.zeros((0, 4), "<f4")
    file["nothing"] = h5py.Empty("f4")
    file.create_dataset("unwritten", (1 << 40, 4), "<f4", chunks=(1024, 4))
    file.create_dataset("varying", (2,), h5py.vlen_dtype("<f4"))
    file.create_dataset("lzf", data=values("<f4", 50, 3), compression="lzf")
    file["mixed/a"] = values("<f4", 3)
    file["mixed/b"] = values("<f4", 4)
    file["kinds/a"] = values("<f4", 3)
    file["kinds/b"] = values("<f8", 3)
    file.create_group("empty")
    file["outside"] = h5py.ExternalLink("single.h5", "/embeddings")
    file["around"] = h5py.SoftLink("/outside")
    file["soft"] = h5py.SoftLink("/lists/i0")
    file["dangling"] = h5py.SoftLink("/gone")
    file["lists/i0"] = values("<f4", 3)
    file["lists/loop"] = file["lists"]  # a hard link to its own group
    stack = h5py.VirtualLayout((2, 3), "<f4")
    stack[0] = h5py.VirtualSource("single.h5", "embeddings", (5, 3))[0]
    file.create_virtual_dataset("virtual", stack)
    file.create_dataset("raw", (2, 3), "<f4", external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])

# A bomb: 16 GB of zeros in a few kilobytes.
with new("bomb") as file:
    data = file.create_dataset("x", (1 << 22, 1024), "<f4", chunks=(1 << 14, 1024),
                               compression="gzip", compression_opts=9)
    data[0, 0] = 1

# Blosc needs no plugin to be named: the filter is only written down.
with new("blosc") as file:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2, 3))
    plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 4, 24, 5, 1, 0))
    space = h5py.h5s.create_simple((4, 3))
    set_id = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, plist)
    set_id.write(h5py.h5s.ALL, h5py.h5s.ALL, values("<f4", 4, 3))
