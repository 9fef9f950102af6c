"""vindex build and search against a search in plain Python."""
import csv
import struct
import unittest

from harness import CliTest, float32, ranking, read_npz, vectors

METRICS = ["l2", "ip", "cosine", "pearson"]


class SearchTest(CliTest):
    def build(self, rows, *words):
        self.write_npy("songs.npy", rows)
        return self.ok_json("build", "Flat", "--input", "songs.npy", "-o", "songs.vindex", *words)

    def check(self, found, metric, rows, queries, k):
        self.assertEqual(len(found["ids"]), len(queries))
        for query, ids, distances in zip(queries, found["ids"], found["distances"]):
            expected = ranking(metric, query, rows)[:k]
            self.assertEqual(ids, [i for _, i in expected])
            for distance, (value, _) in zip(distances, expected):
                self.assertAlmostEqual(distance, value, delta=1e-5 * max(1, abs(value)))

    def test_every_metric(self):
        rows, queries = vectors(1, 60, 17), vectors(2, 7, 17)
        self.write_npy("queries.npy", queries)
        for metric in METRICS:
            built = self.build(rows, "--metric", metric)
            self.assertEqual((built["rows"], built["dim"], built["metric"]), (60, 17, metric))
            self.assertGreater(built["bytes"], 60 * 17 * 4)
            found = self.ok_json("search", "songs.vindex", "--queries", "queries.npy", "-k", 5)
            self.assertEqual((found["queries"], found["k"]), (7, 5))
            self.assertGreaterEqual(found["seconds"], 0)
            self.check(found, metric, rows, queries, 5)

    def test_ties_go_to_the_smaller_id_whatever_the_threads(self):
        rows, queries = vectors(3, 200, 3, levels=3), vectors(4, 9, 3, levels=3)
        self.write_npy("queries.npy", queries)
        self.build(rows)
        for words in [], ["--threads", 1], ["--threads", 3], ["--batch", 1], ["--batch", 4]:
            found = self.ok_json("search", "songs.vindex", "--queries", "queries.npy", "-k", 20, *words)
            self.check(found, "l2", rows, queries, 20)

    def test_lists(self):
        rows, queries = vectors(11, 150, 6), vectors(12, 8, 6)
        self.write_npy("songs.npy", rows)
        self.write_npy("queries.npy", queries)
        for metric in METRICS:
            built = self.ok_json("build", "IVF7,Flat", "--input", "songs.npy", "--metric", metric, "-o", "lists.vindex")
            self.assertEqual((built["spec"], built["rows"]), ("IVF7,Flat", 150))
            found = self.ok_json("search", "lists.vindex", "--queries", "queries.npy", "-k", 5, "--nprobe", 7)
            self.check(found, metric, rows, queries, 5)
        info = self.ok_json("info", "lists.vindex")
        self.assertEqual((info["lists"], info["bytes_per_vector"]), (7, 6 * 4 + 8))
        self.assertGreaterEqual(info["largest_list"], 150 / 7)
        self.assertGreater(info["training_loss"], 0)
        self.assertEqual((info["learnt_from"], info["offered"]), (150, 150))

    def test_a_graph_may_be_laid_out_anew(self):
        rows, queries = vectors(14, 150, 6), vectors(15, 8, 6)
        self.write_npy("songs.npy", rows)
        self.write_npy("queries.npy", queries)
        built = self.ok_json("build", "HNSW8", "--input", "songs.npy", "--reorder", "-o", "graph.vindex")
        self.assertEqual((built["spec"], built["rows"]), ("HNSW8", 150))
        found = self.ok_json("search", "graph.vindex", "--queries", "queries.npy", "-k", 5, "--ef", 150)
        self.check(found, "l2", rows, queries, 5)
        refused = self.run_vindex("build", "Flat", "--input", "songs.npy", "--reorder", "-o", "flat.vindex")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("reorder", refused.stderr)

    def test_training_says_what_it_left_out(self):
        self.write_npy("songs.npy", vectors(13, 300, 4))
        for lists, used in (2, 128), (5, 300):
            built = self.run_vindex("build", f"IVF{lists},Flat", "--input", "songs.npy", "-o", "lists.vindex")
            self.assertEqual("trained on 128 of 300 vectors" in built.stderr, used < 300)
            info = self.ok_json("info", "lists.vindex")
            self.assertEqual((info["learnt_from"], info["offered"]), (used, 300))

    def test_mapped_and_unverified(self):
        rows, queries = vectors(5, 50, 9), vectors(6, 4, 9)
        self.write_npy("queries.npy", queries)
        self.build(rows)
        for words in ["--mmap"], ["--mmap", "--no-verify"], ["--no-verify"]:
            found = self.ok_json("search", "songs.vindex", "--queries", "queries.npy", "-k", 3, *words)
            self.check(found, "l2", rows, queries, 3)

    def test_one_query_per_call_gives_the_median(self):
        rows = vectors(7, 30, 5)
        self.build(rows)
        found = self.ok_json("search", "songs.vindex", "--queries", "songs.npy", "-k", 1, "--batch", 1)
        self.assertGreater(found["median_ms"], 0)
        self.assertGreaterEqual(found["p95_ms"], found["median_ms"])
        self.assertEqual([ids[0] for ids in found["ids"]], list(range(10)))
        whole = self.ok_json("search", "songs.vindex", "--queries", "songs.npy", "-k", 1, "--show", 30)
        self.assertIsNone(whole["median_ms"])
        some = self.ok_json("search", "songs.vindex", "--queries", "songs.npy", "-k", 1, "--first", 4)
        self.assertEqual((some["queries"], some["ids"]), (4, [[0], [1], [2], [3]]))
        self.assertEqual([ids[0] for ids in whole["ids"]], list(range(30)))

    def test_fewer_vectors_than_k(self):
        rows = vectors(8, 3, 4)
        self.build(rows)
        found = self.ok_json("search", "songs.vindex", "--queries", "songs.npy", "-k", 5)
        self.assertEqual([ids[3:] for ids in found["ids"]], [[-1, -1]] * 3)
        self.assertEqual([d[3:] for d in found["distances"]], [[None, None]] * 3)

    def test_output_files(self):
        rows, queries = vectors(9, 40, 6), vectors(10, 12, 6)
        self.write_npy("queries.npy", queries)
        self.build(rows)
        expected = [ranking("l2", query, rows)[:4] for query in queries]
        ids = [[i for _, i in line] for line in expected]
        search = ["search", "songs.vindex", "--queries", "queries.npy", "-k", 4, "-o"]
        self.ok(*search, "found.npz")
        members = read_npz(self.path("found.npz"))
        self.assertEqual(sorted(members), ["distances.npy", "ids.npy"])
        self.assertEqual(members["ids.npy"], ids)
        self.ok(*search, "found.ivecs")
        with open(self.path("found.ivecs"), "rb") as file:
            data = file.read()
        self.assertEqual(data, b"".join(struct.pack("<5i", 4, *line) for line in ids))
        self.ok(*search, "found.csv")
        with open(self.path("found.csv"), newline="") as file:
            lines = list(csv.DictReader(file))
        self.assertEqual([int(line["id"]) for line in lines], sum(ids, []))
        self.assertEqual([int(line["rank"]) for line in lines], [1, 2, 3, 4] * 12)
        stored = sum(members["distances.npy"], [])
        self.assertEqual([float32(float(line["distance"])) for line in lines], stored)

    def test_the_same_npz_twice(self):
        self.build(vectors(11, 20, 4))
        for name in "a.npz", "b.npz":
            self.ok("search", "songs.vindex", "--queries", "songs.npy", "-k", 2, "-o", name)
        with open(self.path("a.npz"), "rb") as a, open(self.path("b.npz"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_inputs_are_appended(self):
        first, second = vectors(12, 25, 8), vectors(13, 30, 8)
        self.write_npy("a.npy", first)
        self.write_npy("b.npy", second)
        self.ok("build", "Flat", "--input", "a.npy", "--input", "b.npy", "-o", "both.vindex")
        found = self.ok_json("search", "both.vindex", "--queries", "b.npy", "--queries", "a.npy",
                             "-k", 1, "--show", 100)
        self.assertEqual([ids[0] for ids in found["ids"]], [*range(25, 55), *range(25)])

    def test_id_column(self):
        self.write("songs.csv", "id,x,y\n70,0,0\n9000000000,5,0\n3,0,7\n")
        built = self.ok_json("build", "Flat", "--input", "songs.csv", "--id-column", "id",
                             "-o", "songs.vindex")
        self.assertEqual(built["ids"], "from the id column")
        self.write_npy("queries.npy", [[5.0, 1.0]])
        found = self.ok_json("search", "songs.vindex", "--queries", "queries.npy", "-k", 3)
        self.assertEqual(found["ids"], [[9000000000, 70, 3]])
        self.fails(1, ["search", "songs.vindex", "--queries", "queries.npy", "-o", "x.ivecs"],
                   "9000000000")

    def test_ids_that_are_names(self):
        self.write("songs.csv", "id,x,y\na,0,0\nb,5,0\n")
        result = self.run_vindex("build", "Flat", "--input", "songs.csv", "--id-column", 0,
                                 "-o", "songs.vindex", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("note", result.stderr)
        quiet = self.run_vindex("build", "Flat", "--input", "songs.csv", "--id-column", 0,
                                "-o", "songs.vindex", "--quiet")
        self.assertEqual((quiet.returncode, quiet.stderr), (0, ""))

    def test_half_precision(self):
        rows = vectors(14, 100, 32, levels=100)
        self.write_npy("songs.npy", rows)
        for spec in "Flat,f16", "Flat,bf16":
            built = self.ok_json("build", spec, "--input", "songs.npy", "-o", "half.vindex")
            self.assertEqual(built["spec"], spec)
            self.assertLess(built["memory"], 100 * 32 * 4)
            found = self.ok_json("search", "half.vindex", "--queries", "songs.npy", "-k", 1)
            self.assertEqual([ids[0] for ids in found["ids"]], list(range(10)))

    def test_table_for_people(self):
        self.build(vectors(15, 20, 4))
        text = self.ok("search", "songs.vindex", "--queries", "songs.npy", "-k", 2, "--show", 1)
        self.assertIn("    0  0 (0)", text)
        self.assertIn("ms", text)


if __name__ == "__main__":
    unittest.main()
