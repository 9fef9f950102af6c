"""vindex tune, and searches that ask for a recall, against neighbours found in plain Python."""
import unittest

from harness import CliTest, ranking, vectors


class TuneTest(CliTest):
    def setUp(self):
        super().setUp()
        self.rows, self.queries = vectors(1, 600, 5), vectors(2, 160, 5)
        self.write_npy("songs.npy", self.rows)
        self.write_npy("sample.npy", self.queries[:80])
        self.write_npy("queries.npy", self.queries[80:])

    def recall(self, index, words, queries, k=10):
        found = self.ok_json("search", index, "--queries", "queries.npy", "-k", k, "--show", len(queries), *words)
        hits = 0
        for query, ids in zip(queries, found["ids"]):
            hits += len({i for _, i in ranking("l2", query, self.rows)[:k]} & set(ids))
        return hits / (k * len(queries))

    def test_recall_is_reached(self):
        self.ok_json("build", "IVF24,Flat", "--input", "songs.npy", "-o", "songs.vindex")
        for words in ["--input", "songs.npy"], []:
            tuned = self.ok_json("tune", "songs.vindex", "--queries", "sample.npy", "-o", "tuned.vindex", *words)
            self.assertEqual((tuned["queries"], tuned["k"], tuned["spec"]), (80, 10, "IVF24,Flat"))
            points = tuned["operating_points"]
            self.assertEqual(points, sorted(points, key=lambda point: point["recall"]))
            self.assertEqual(self.ok_json("info", "tuned.vindex")["operating_points"], points)
            for recall in 0.5, 0.8, 0.9, 0.95:
                got = self.recall("tuned.vindex", ["--recall", recall], self.queries[80:])
                self.assertGreaterEqual(got, recall)
                nprobe = next(p["nprobe"] for p in points if p["recall"] >= recall)
                self.assertEqual(got, self.recall("tuned.vindex", ["--nprobe", nprobe], self.queries[80:]))
        self.assertIn("nprobe", self.ok("info", "tuned.vindex"))
        self.assertNotIn("operating_points", self.ok_json("info", "songs.vindex"))

    def test_chosen_recalls_in_place(self):
        self.ok_json("build", "PCA4,IVF10,Flat", "--input", "songs.npy", "-o", "songs.vindex")
        self.ok("tune", "songs.vindex", "--queries", "sample.npy", "--recall", "0.9,0.6", "-k", 3)
        points = self.ok_json("info", "songs.vindex")["operating_points"]
        self.assertEqual(len(points), 2)
        self.assertEqual(points[0]["k"], 3)
        self.assertTrue(0.6 <= points[0]["recall"] < 0.9 <= points[1]["recall"])
        self.assertEqual(self.ok_json("info", "songs.vindex")["lists"], 10)  # behind the projection

    def test_what_is_refused(self):
        self.ok_json("build", "IVF5,Flat", "--input", "songs.npy", "-o", "songs.vindex")
        search = ["search", "songs.vindex", "--queries", "queries.npy"]
        self.fails(1, [*search, "--recall", 0.9], "never tuned")
        self.fails(2, [*search, "--recall", 1.5], "recall")
        tune = ["tune", "songs.vindex", "--queries", "sample.npy"]
        self.fails(2, [*tune, "--recall", "0.9,x"], "no list of numbers")
        self.fails(2, [*tune, "-k", 0], "k is 0")
        self.fails(1, [*tune, "--recall", 2], "above 0")
        self.write_npy("wide.npy", vectors(3, 9, 6))
        self.fails(1, ["tune", "songs.vindex", "--queries", "wide.npy"], "the index 5")
        self.fails(1, [*tune, "--input", "wide.npy"], "the index 5")
        self.ok("tune", "songs.vindex", "--queries", "sample.npy", "--recall", 0.5)
        self.fails(1, [*search, "--recall", 0.5, "--nprobe", 3], "both given")
        self.fails(1, [*search, "--recall", 1], "best operating point")
        self.fails(1, [*search, "--recall", 0.5, "-k", 11], "k up to 10")


if __name__ == "__main__":
    unittest.main()
