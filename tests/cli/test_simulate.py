"""vindex simulate."""
import csv
import os
import subprocess
import unittest
from collections import Counter

from harness import VINDEX, CliTest, read_npy


class SimulateTest(CliTest):
    def read_labels(self, name):
        with open(self.path(name), newline="") as file:
            return [line["work_id"] for line in csv.DictReader(file)]

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_structure(self):
        found = self.ok_json("simulate", "da-tacos", "--dim", 16, "--scale", 0.02, "-o", "out")
        self.assertIs(found["simulated"], True)
        self.assertEqual((found["rows"], found["dim"], found["metric"]), (300, 16, "l2"))
        rows = read_npy(self.read("out/embeddings.npy"))
        self.assertEqual((len(rows), len(rows[0])), (300, 16))
        sizes = Counter(Counter(self.read_labels("out/labels.csv")).values())
        self.assertEqual(sizes, {13: 20, 1: 40})
        self.assertIn("SIMULATED", self.ok("simulate", "da-tacos", "--dim", 4, "--scale", 0.01,
                                           "-o", "out"))

    def test_seeds(self):
        for name, seed, threads in ("a", 1, 1), ("b", 1, 2), ("c", 2, 1):
            self.ok("simulate", "da-tacos", "--model", "re-move", "--scale", 0.02, "--seed", seed,
                    "--threads", threads, "-o", name)
        self.assertEqual(self.read("a/embeddings.npy"), self.read("b/embeddings.npy"))
        self.assertEqual(self.read("a/labels.csv"), self.read("b/labels.csv"))
        self.assertNotEqual(self.read("a/embeddings.npy"), self.read("c/embeddings.npy"))

    def test_own_cliques(self):
        labels = ["x", "y", "x", "x", "z"]
        self.write_labels("mine.csv", labels)
        found = self.ok_json("simulate", "da-tacos", "--dim", 8, "--labels", "mine.csv", "-o", "out")
        self.assertEqual((found["rows"], found["cliques"]), (5, 3))
        self.assertEqual(self.read_labels("out/labels.csv"), labels)

    def test_every_model_beats_chance_and_the_folder_may_exist(self):
        os.mkdir(self.path("out"))
        for model in "move", "re-move", "bytecover2":
            found = self.ok_json("simulate", "da-tacos", "--model", model, "--dim", 128,
                                 "--scale", 0.05, "-o", "out")
            measured = self.ok_json("eval", "--input", "out/embeddings.npy", "--labels",
                                    "out/labels.csv", "--metric", found["metric"])
            self.assertGreater(measured["MAP"], 0.3)
            self.assertLess(measured["MAP"], 1)
            self.assertEqual((measured["queries"], measured["noise"]), (650, 100))

    def stderr_on_a_terminal(self, *words):
        ours, theirs = os.openpty()
        process = subprocess.Popen([VINDEX, "simulate", "da-tacos", "--scale", "0.1", "-o", "out",
                                    *words], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=theirs, text=True)
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # how a terminal says that nobody is at its other end
            pass
        os.close(ours)
        table, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        return table, shown.decode()

    def test_progress_is_for_terminals(self):
        table, bar = self.stderr_on_a_terminal()
        self.assertRegex(bar, r"simulating +\[#* *\] +\d+%")
        self.assertTrue(bar.endswith("\r\033[K"), "the bar is taken away")
        self.assertNotIn("[#", table)
        self.assertEqual(self.stderr_on_a_terminal("--quiet")[1], "")
        piped = self.run_vindex("simulate", "da-tacos", "--dim", 4, "--scale", 0.01, "-o", "out")
        self.assertEqual((piped.returncode, piped.stderr), (0, ""))

    def test_training_split(self):
        found = self.ok_json("simulate", "da-tacos", "--dim", 2, "--scale", 0.02, "--training",
                             "-o", "out")
        labels = self.read_labels("out/training_labels.csv")
        self.assertEqual(len(labels), found["training_rows"])
        self.assertGreaterEqual(min(Counter(labels).values()), 2)
        info = self.ok_json("info", "out/training_embeddings.npy")
        self.assertEqual((info["rows"], info["dim"]), (len(labels), 2))


if __name__ == "__main__":
    unittest.main()
