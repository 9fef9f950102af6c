#!/usr/bin/env python3
"""Writes the .npy files of fixtures/ with NumPy, the oracle the reader is held against.

Run without arguments; the files are committed, so only a change of this script needs it.
Number (i, j) of the 5 x 3 arrays is k = 3 i + j put through `values` below, which test_npy.c
repeats.
"""
import os

import numpy as np
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
