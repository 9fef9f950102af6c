"""vindex info and convert."""
import json
import os
import struct
import unittest

from harness import CliTest, npy, read_npy, vectors


class FilesTest(CliTest):
    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_info_of_embeddings(self):
        self.write_npy("a.npy", vectors(1, 5, 3))
        found = self.ok_json("info", "a.npy")
        self.assertEqual(
            {key: found[key] for key in ("kind", "format", "dtype", "rows", "dim", "metric", "bytes")},
            {"kind": "embeddings", "format": "npy", "dtype": "f32", "rows": 5, "dim": 3,
             "metric": None, "bytes": 128 + 5 * 3 * 4})
        self.assertEqual(found["nonfinite_rows"], 0)
        text = self.ok("info", "a.npy")
        self.assertIn("all rows are finite", text)

    def test_info_counts_what_is_not_finite(self):
        rows = [[1.0, 2.0], [float("nan"), 1.0], [0.0, 0.0], [float("inf"), float("-inf")]]
        self.write_npy("a.npy", rows)
        found = self.ok_json("info", "a.npy")
        self.assertEqual((found["nonfinite_rows"], found["zero_rows"]), (2, 1))

    def test_info_of_labels(self):
        self.write_labels("labels.csv", ["a", "b", "a"])
        found = self.ok_json("info", "labels.csv")
        self.assertEqual((found["kind"], found["rows"], found["cliques"]), ("labels", 3, 2))

    def test_info_of_tables(self):
        self.write("a.csv", "id,x,y,label\n7,1,2,a\n8,3,4,b\n")
        found = self.ok_json("info", "a.csv", "--id-column", "id", "--label-column", 3)
        self.assertEqual((found["kind"], found["rows"], found["dim"]), ("embeddings", 2, 2))

    def test_info_of_containers(self):
        """What a container holds, which key to choose, and evaluating straight from it."""
        rows = [[1.5, 0], [1, 0.5], [0, 1], [0.5, 1]]
        self.write("a.json", json.dumps({"data": rows, "labels": ["p", "p", "q", "q"]}))
        found = self.ok_json("info", "a.json")
        self.assertEqual([found["kind"], found["rows"], found["dim"]], ["embeddings", 4, 2])
        self.assertEqual([(m["key"], m["use"], m["rows"], m["dim"]) for m in found["members"]],
                         [("data", "embeddings", 4, 2), ("labels", "labels", 4, 0)])
        self.assertIn("data: list of 4 f64 arrays", self.ok("info", "a.json"))
        self.assertEqual(self.ok_json("eval", "--input", "a.json")["MAP"], 1)
        self.write("two.json", json.dumps({"a": rows, "b": {"c": rows[:2]}, "name": "x"}))
        found = self.ok_json("info", "two.json")
        self.assertEqual(found["kind"], "container")
        self.assertEqual([m["key"] for m in found["members"]], ["a", "b.c", "name"])
        self.assertEqual(self.ok_json("info", "two.json", "--key", "b.c")["rows"], 2)
        self.fails(1, ["convert", "two.json", "b.npy"], "'a' (list of 4", "'b.c' (list of 2")
        self.ok("convert", "two.json", "b.npy", "--key", "b.c")
        self.assertEqual(self.ok_json("info", "b.npy")["rows"], 2)
        self.write("works.json", json.dumps({"W": {"P1": {}, "P2": {}}, "V": {"P3": {}}}))
        found = self.ok_json("info", "works.json")
        self.assertEqual([found["kind"], found["rows"], found["cliques"]], ["labels", 3, 2])

    def test_info_of_an_index(self):
        self.write_npy("a.npy", vectors(2, 6, 4))
        self.ok("build", "Flat", "--input", "a.npy", "--metric", "cosine", "-o", "a.vindex")
        found = self.ok_json("info", "a.vindex")
        self.assertEqual(
            (found["kind"], found["rows"], found["dim"], found["metric"], found["spec"]),
            ("index", 6, 4, "cosine", "Flat"))
        self.assertEqual(found["bytes"], os.path.getsize(self.path("a.vindex")))
        self.assertGreater(sum(part["bytes"] for part in found["sections"]), 6 * 4 * 4)

    def test_every_flipped_bit_of_an_index_is_found(self):
        self.write_npy("a.npy", vectors(3, 4, 3))
        self.ok("build", "Flat", "--input", "a.npy", "-o", "a.vindex")
        data = self.read("a.vindex")
        step = max(1, len(data) // 100)
        for place in [*range(0, 64), *range(64, len(data), step)]:
            broken = bytearray(data)
            broken[place] ^= 1 << place % 8
            self.write("broken.vindex", bytes(broken))
            self.fails(1, ["info", "broken.vindex"])
            self.fails(1, ["search", "broken.vindex", "--queries", "a.npy"])

    def test_every_cut_of_an_index_is_found(self):
        self.write_npy("a.npy", vectors(3, 4, 3))
        self.ok("build", "Flat", "--input", "a.npy", "-o", "a.vindex")
        data = self.read("a.vindex")
        for length in range(0, len(data), max(1, len(data) // 60)):
            self.write("cut.vindex", data[:length])
            self.fails(1, ["search", "cut.vindex", "--queries", "a.npy"])
        self.write("long.vindex", data + b"\0")
        self.fails(1, ["search", "long.vindex", "--queries", "a.npy"])

    def test_convert_there_and_back(self):
        rows = vectors(4, 50, 7)
        self.write_npy("a.npy", rows)
        for name in "b.fvecs", "b.fbin", "b.csv", "b.tsv", "b.npy":
            self.ok("convert", "a.npy", name)
            self.ok("convert", name, "back.npy")
            self.assertEqual(read_npy(self.read("back.npy")), rows, name)
        self.assertEqual(self.read("b.fvecs")[:8], struct.pack("<if", 7, rows[0][0]))
        self.assertEqual(self.read("b.fbin")[:8], struct.pack("<II", 50, 7))

    def test_convert_dtype(self):
        rows = vectors(5, 9, 4)
        self.write_npy("a.npy", rows)
        found = self.ok_json("convert", "a.npy", "h.npy", "--dtype", "f16")
        self.assertEqual((found["dtype"], found["rows"], found["dim"]), ("f16", 9, 4))
        half = [[struct.unpack("<e", struct.pack("<e", x))[0] for x in row] for row in rows]
        self.assertEqual(read_npy(self.read("h.npy")), half)
        self.write_npy("bytes.npy", [[0.0, 255.0], [7.0, 8.0]])
        self.ok("convert", "bytes.npy", "bytes.bvecs")
        self.assertEqual(self.read("bytes.bvecs"), b"\2\0\0\0\0\xff\2\0\0\0\7\10")

    def test_convert_refuses(self):
        self.write_npy("a.npy", [[1.0, 2.5], [300.0, 4.0]])
        before = sorted(os.listdir(self.folder))
        self.fails(1, ["convert", "a.npy", "b.bvecs"])
        self.fails(2, ["convert", "a.npy", "b.nonsense"], "nonsense")
        self.fails(2, ["convert", "a.npy", "b.fvecs", "--dtype", "f16"], "f16")
        self.fails(2, ["convert", "a.npy", "b.npy", "--dtype", "nonsense"], "nonsense", "f32")
        self.fails(1, ["convert", "a.npy", "no/such/folder.npy"], "no/such")
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_convert_over_itself_keeps_the_old_file_on_failure(self):
        self.write("keep.bvecs", b"\1\0\0\0\7")
        self.write_npy("a.npy", [[0.5]])
        self.fails(1, ["convert", "a.npy", "keep.bvecs"])
        self.assertEqual(self.read("keep.bvecs"), b"\1\0\0\0\7")

    def test_no_rows(self):
        self.write("none.npy", npy([], 5))
        found = self.ok_json("info", "none.npy")
        self.assertEqual((found["rows"], found["dim"]), (0, 5))
        self.fails(1, ["build", "Flat", "--input", "none.npy", "-o", "x.vindex"], "no rows")


if __name__ == "__main__":
    unittest.main()
