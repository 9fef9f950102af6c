"""vindex bench recall: its recall is that of neighbours found in plain Python."""
import csv
import io
import os
import unittest

from harness import CliTest, ranking, vectors


class BenchRecallTest(CliTest):
    def test_recall_of_files(self):
        rows, queries, k = vectors(1, 300, 4), vectors(2, 40, 4), 5
        self.write_npy("songs.npy", rows)
        self.write_npy("queries.npy", queries)
        files = ["--input", "songs.npy", "--queries", "queries.npy"]
        truth = [{i for _, i in ranking("l2", query, rows)[:k]} for query in queries]
        found = self.ok_json("bench", "recall", "IVF9,Flat", "Flat", *files, "-k", k, "--sweep", "nprobe=1,3,9")
        self.assertEqual((found["rows"], found["dim"], found["queries"], found["k"]), (300, 4, 40, k))
        self.assertFalse(found["simulated"])
        self.assertEqual([curve["spec"] for curve in found["curves"]], ["IVF9,Flat", "Flat"])
        self.ok("build", "IVF9,Flat", "--input", "songs.npy", "-o", "songs.vindex")
        for point, nprobe in zip(found["curves"][0]["points"], [1, 3, 9]):
            self.assertEqual(point["settings"], f"nprobe={nprobe}")
            self.assertGreater(point["qps"], 0)
            ids = self.ok_json("search", "songs.vindex", "--queries", "queries.npy", "-k", k, "--nprobe", nprobe,
                               "--show", 40)["ids"]
            hits = sum(len(wanted & set(got)) for wanted, got in zip(truth, ids))
            self.assertAlmostEqual(point["recall"], hits / (40 * k), delta=1e-9)
        self.assertEqual(found["curves"][0]["points"][2]["recall"], 1)
        self.assertEqual(found["curves"][1]["points"][0]["recall"], 1)

    def test_simulated_tuned_and_drawn(self):
        words = ["bench", "recall", "IVF16,Flat", "--rows", 2000, "--count", 200, "--dim", 8, "--threads", 1]
        found = self.ok_json(*words, "-o", "out", "--plot", "curve.png")
        self.assertTrue(found["simulated"])
        self.assertEqual(found["queries"], 100)  # the other half tuned
        points = found["curves"][0]["points"]
        self.assertGreater(points[-1]["recall"], 0.98)
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["recall.csv", "recall.json", "recall.svg"])
        self.assertTrue(os.path.getsize(self.path("curve.png")) > 1000)
        with open(self.path("out/recall.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([float(row["recall"]) for row in rows], [round(p["recall"], 5) for p in points])
        whole = list(csv.DictReader(io.StringIO(self.ok(*words, "--data", "sift-like", "--csv"))))
        self.assertEqual({row["data"] for row in whole}, {"sift-like"})
        self.assertIn("at 0.95", self.ok(*words))

    def test_what_is_refused(self):
        bench = ["bench", "recall", "IVF4,Flat", "--rows", 100, "--dim", 4]
        self.fails(2, ["bench", "recall"], "SPEC")
        self.fails(2, ["bench", "nothing"], "recall")
        self.fails(2, ["bench", "kernels", "more"], "one word too many")
        self.fails(2, [*bench, "--data", "other"], "clustered|sift-like")
        self.fails(2, [*bench, "--count", 1], "--count 1")
        self.fails(2, [*bench, "--sweep", "nprobe"], "NAME=V")
        self.fails(2, [*bench, "--sweep", "nprobes=1"], "no parameter nprobes")
        self.fails(2, [*bench, "--sweep", "nprobe=x"], "'x'")
        self.fails(2, [*bench, "--plot", "a.pdf"], ".svg or .png")
        self.fails(2, ["bench", "recall", "IVFx,Flat", "--rows", 100], "IVF")
        self.fails(1, ["bench", "recall", "IVF400,Flat", "--rows", 100], "100 vectors")


if __name__ == "__main__":
    unittest.main()
