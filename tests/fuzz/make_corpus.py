#!/usr/bin/env python3
"""Writes the seeds of corpus/: small files that between them take every path of the readers.

Run without arguments; the files are committed. Inputs a fuzzer found are kept beside them under
other names.
"""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def save(reader, name, data):
    folder = os.path.join(HERE, reader)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def npy(text, data, version=1):
    text += "\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + data


def header(descr, fortran, shape):
    return f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


for descr, size in [("<f2", 2), ("<f4", 4), ("<f8", 8), ("|i1", 1), ("|u1", 1), ("<i2", 2),
                    ("<u2", 2), ("<i4", 4), ("<i8", 8), (">f4", 4), (">i8", 8)]:
    name = descr.replace("<", "little_").replace(">", "big_").replace("|", "")
    data = bytes(range(1, 6 * size + 1))
    save("npy", name, npy(header(descr, size % 4 == 0, (2, 3)), data))
save("npy", "one_dimension", npy(header("<f4", False, "(2,)"), bytes(8), 2))
save("npy", "no_rows", npy(header("<f4", True, "(0, 3)"), b"", 3))
save("npy", "too_many_rows", npy(header("|i1", False, f"({2 ** 63}, 3)"), bytes(8)))
save("npy", "objects", npy(header("|O", False, "(2, 3)"), b"\x80\x03."))
save("npy", "records", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", b""))
save("npy", "long_integers", npy(header('"<f4"', False, "(1L, 1L)").replace("'\"", '"')
                                 .replace("\"'", '"'), bytes(4)))
save("npy", "cut", b"\x93NUMPY\x01\x00\xff")

save("vecs", "fvecs", struct.pack("<IffIff", 2, 1.0, 2.0, 2, 3.0, float("nan")))
save("vecs", "bvecs", b"\3\0\0\0abc\3\0\0\0def")
save("vecs", "rows_differ", struct.pack("<IffIff", 2, 1.0, 2.0, 1, 3.0, 4.0))
save("vecs", "negative", struct.pack("<i", -1))
save("vecs", "cut", b"\2\0")

save("bin", "fbin", struct.pack("<IIffff", 2, 2, 1.0, 2.0, 3.0, float("inf")))
save("bin", "u8bin", struct.pack("<II", 2, 3) + b"abcdef")
save("bin", "no_rows", struct.pack("<II", 0, 5))
save("bin", "too_many", struct.pack("<II", 2 ** 32 - 1, 2 ** 31 - 1))
save("bin", "cut", b"\2\0\0\0\1")

save("csv", "header", "id,label,x,y\na,1,2.5,-3e4\nb,1,nan,.5\n")
save("csv", "quotes", '\ufeff"id","a ""b""",x\r\n"1,\n2","l",3\r\n')
save("csv", "bare", "1,2\n3,4\n5,6")
save("csv", "tabs", "a\t2\t0.1234567890123456789\nb\t4\t1e-40\n")
save("csv", "counted", "0,1,2\n1,2,3\n")
save("csv", "uneven", "a,b\n1\n")
save("csv", "open_quote", 'a,b\n"1,2\n')
save("csv", "words", "x,y\ninf,-Infinity\nabc,\n")
save("csv", "midpoint", "1.000000059604644775390625,16777217\n3.4028235677973366e38,7e-46\n")
save("csv", "empty", "")

save("labels", "table", "work_id,track_id\nW1,P1\nW2,P2\nW1,P3\n")
save("labels", "quotes", '\ufeff"id","label"\r\n"1,2","a ""b"""\r\n')
save("labels", "tabs", "x\tb\n1\tu\n2\tv\n3\tu\n")
save("labels", "lines", "one\ntwo\none\n\n")
save("labels", "unnamed", ",class\n0,a\n1,b\n")
save("labels", "empty_label", "label,id\n,1\n")
save("labels", "zero", b"a\0b\n")

save("json", "vectors", "[[1,2],[3,4.5],[5,-6e-2]]")
save("json", "nested", '{"a": {"b": [[[1,2]],[[3,4],[5,6]]]}, "labels": ["x", "y"], "ids": [1, 2]}')
save("json", "records", '[{"id": "p", "v": [1,2]}, {"id": "q", "v": [3,4], "x": null}]')
save("json", "lines", '{"utt": "p", "song_id": "w", "embed": [1,2]}\n'
     '{"utt": "q", "song_id": "w", "embed": [3,4]}\n')
save("json", "works", '{"W1": {"P1": {"title": "x"}, "P2": {}}, "W2": {"P3": {}}}')
save("json", "lists", '{"W1": ["P1", "P2"], "W2": [3]}')
save("json", "tables", '{"W1": [{"id": "P1"}, {"id": "P2"}]}')
save("json", "pairs", '{"P1": "W1", "P2": "\\u00e9"}')
save("json", "fields", '{"P1": {"work_id": "W1"}, "P2": {"work_id": "W2"}}')
save("json", "twice", '{"a": 1, "a": 2}')

save("torch", "system", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
FIXTURES = os.path.join(HERE, "..", "..", "io", "fixtures")
for reader, ending, names in [
        ("torch", ".pt", ["crema_zip", "crema_legacy", "nested_zip", "segments_labelled_legacy",
                          "state_zip", "lists_legacy", "clews_legacy", "three_strided_legacy",
                          "attributed_legacy", "protocol4_zip", "protocol4_legacy", "loop_legacy",
                          "named_legacy", "parameter_legacy", "numpy_kinds_zip",
                          "numpy_kinds_protocol4_legacy", "numpy_kinds_protocol5_legacy"]),
        ("npz", ".npz", ["stored", "deflated", "deflated_fortran", "others", "segments"]),
        ("safetensors", ".safetensors", ["model", "bf16"])]:
    for name in names:
        with open(os.path.join(FIXTURES, name + ending), "rb") as file:
            save(reader, name, file.read())

# Index files behind a byte of options: as they are, to be signed again, mapped, deferred.
GOLDEN = os.path.join(HERE, "..", "..", "golden")
for name in sorted(os.listdir(GOLDEN)):
    stem, ending = os.path.splitext(name)
    kind = {".vindex": "index", ".model": "transform"}.get(ending)
    if kind is None:
        continue
    with open(os.path.join(GOLDEN, name), "rb") as file:
        content = file.read()
    for options in (0, 7, 15, 31) if kind == "index" else (0, 7):
        save(kind, f"{stem}_{options}", bytes([options]) + content)
