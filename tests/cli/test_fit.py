"""vindex fit and apply, and models elsewhere: info, build, eval."""
import math
import os
import unittest

from harness import CliTest, float32, read_npy, vectors


def low_rank(seed, rows, dim, rank):
    """Rows in a subspace of that dimension."""
    basis, parts = vectors(seed, rank, dim), vectors(seed + 1, rows, rank)
    return [[float32(math.fsum(p * b[j] for p, b in zip(part, basis))) for j in range(dim)]
            for part in parts]


class FitTest(CliTest):
    def read(self, name):
        with open(self.path(name), "rb") as file:
            return read_npy(file.read())

    def fit(self, methods, rows, *words):
        self.write_npy("x.npy", rows)
        return self.ok_json("fit", methods, "--input", "x.npy", "-o", "model", *words)

    def test_standardised_as_by_hand(self):
        rows = vectors(1, 40, 3)
        fitted = self.fit("standardise", rows)
        self.assertEqual((fitted["rows"], fitted["dim"], fitted["output_dim"]), (40, 3, 3))
        self.ok("apply", "model", "--input", "x.npy", "-o", "y.npy")
        for column, found in zip(zip(*rows), zip(*self.read("y.npy"))):
            mean = math.fsum(column) / 40
            deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in column) / 40)
            for x, y in zip(column, found):
                self.assertAlmostEqual((x - mean) / deviation, y, delta=1e-5)

    def test_the_rank_is_found_and_shown(self):
        fitted = self.fit("pca", low_rank(2, 90, 12, 4))
        step = fitted["steps"][0]
        self.assertEqual((fitted["output_dim"], step["facts"]["rank"]), (4, 4))
        self.assertLess(step["facts"]["distance_error"], 1e-5)
        self.assertAlmostEqual(step["facts"]["kept"], 1, delta=1e-9)
        info = self.ok_json("info", "model")
        self.assertEqual((info["kind"], info["dim"], info["output_dim"]), ("projection", 12, 4))
        self.assertEqual(info["steps"], fitted["steps"])
        text = self.ok("info", "model")
        self.assertIn("variance kept so far", text)
        self.assertIn("100.0000%", text)
        for words in ["--dim", "auto"], ["--threads", 1], ["--seed", 1]:
            again = self.fit("pca", low_rank(2, 90, 12, 4), *words)
            self.assertEqual(again["steps"], fitted["steps"])

    def test_chains_dimensions_and_settings(self):
        rows = vectors(3, 60, 9)
        fitted = self.fit("standardise,pca:5,grp,normalise", rows, "--dim", 3, "--set",
                          "pca.whiten=0.5", "--set", "solver=gram")
        self.assertEqual([step["out"] for step in fitted["steps"]], [9, 5, 3, 3])
        self.ok("apply", "model", "--input", "x.npy", "--input", "x.npy", "-o", "y.npy")
        found = self.read("y.npy")
        self.assertEqual(len(found), 120)
        self.assertEqual(found[:60], found[60:])
        for row in found:
            self.assertAlmostEqual(math.fsum(x * x for x in row), 1, delta=1e-5)

    def test_apply_writes_other_formats(self):
        self.fit("centre", vectors(4, 20, 4))
        self.ok("apply", "model", "--input", "x.npy", "-o", "y.npy", "--dtype", "f16")
        self.assertEqual(len(self.read("y.npy")), 20)
        self.ok("apply", "model", "--input", "x.npy", "-o", "y.csv")
        self.assertEqual(self.ok_json("info", "y.csv")["dim"], 4)

    def test_evaluated_before_or_after(self):
        rows = low_rank(5, 60, 10, 6)
        self.fit("pca", rows, "--dim", 3)
        self.write_labels("labels.csv", [i // 4 for i in range(60)])
        self.ok("apply", "model", "--input", "x.npy", "-o", "y.npy")
        data = ["--labels", "labels.csv"]
        applied = self.ok_json("eval", "--input", "y.npy", *data)
        projected = self.ok_json("eval", "--input", "x.npy", "--project", "model", *data)
        split = self.ok_json("eval", "--input", "x.npy", "--queries", "x.npy", "--query-labels",
                             "labels.csv", "--project", "model", *data)
        indexed = self.ok_json("eval", "--input", "x.npy", "--index", "PCA3,Flat", *data)
        for key in "MAP", "MR1", "queries":
            self.assertEqual(applied[key], projected[key])
            self.assertEqual(applied[key], indexed[key])
        self.assertGreater(split["MAP"], projected["MAP"])  # each query finds itself

    def test_indexes_behind_a_projection(self):
        rows = low_rank(6, 80, 16, 5)
        self.fit("standardise,pca", rows)
        self.ok("build", "Flat", "--input", "x.npy", "-o", "plain")
        built = self.ok_json("build", "Rank,Flat,Certified", "--input", "x.npy", "-o", "ranked")
        self.assertEqual((built["spec"], built["dim"]), ("Rank,Flat,Certified", 16))
        self.ok("build", "Flat", "--project", "model", "--input", "x.npy", "-o", "given")
        found = {name: self.ok_json("search", name, "--queries", "x.npy", "-k", 4)["ids"]
                 for name in ("plain", "ranked", "given")}
        self.assertEqual(found["plain"], found["ranked"])
        self.assertEqual([ids[0] for ids in found["given"]], list(range(10)))
        info = self.ok_json("info", "ranked")
        self.assertEqual((info["kind"], info["output_dim"]), ("index", 5))
        self.assertEqual(info["steps"][0]["facts"]["rank"], 5)

    def test_help_lists_methods_and_parameters(self):
        text = self.ok("fit", "--help")
        for word in "standardise", "pca-whiten", "ica", "hadamard", "Example":
            self.assertIn(word, text)
        text = self.ok("fit", "pca", "--help")
        self.assertIn("auto, covariance, gram, randomized; default auto", text)
        self.assertIn("0 to 1, default 0", text)
        self.assertIn("nothing", self.ok("fit", "centre", "--help"))

    def test_bad_words(self):
        self.write_npy("x.npy", vectors(7, 10, 4))
        data = ["--input", "x.npy", "-o", "model"]
        self.fails(2, ["fit", "pcb", *data], "unknown method 'pcb'", "standardise")
        self.fails(2, ["fit", "pca", *data, "--dim", "0"], "--dim")
        self.fails(2, ["fit", "pca", *data, "--dim", "few"], "'few'")
        self.fails(2, ["fit", "pca", *data, "--dim", "5"], "at most 4")
        self.fails(2, ["fit", "centre", *data, "--dim", "2"], "leave it out")
        self.fails(2, ["fit", "pca", *data, "--set", "whiten"], "name=value")
        self.fails(2, ["fit", "pca", *data, "--set", "whiten=2"], "0 to 1")
        self.fails(2, ["fit", "pca", *data, "--set", "depth=2"], "pca.whiten")
        self.fails(2, ["fit", "pca", "--input", "x.npy"], "-o")
        self.fails(2, ["fit", "pca", "-o", "model"], "--input")
        self.fails(2, ["fit", *data], "METHOD")
        self.fails(2, ["apply", "model", "--input", "x.npy"], "-o")
        self.fails(2, ["build", "PCA9,Flat", "--input", "x.npy", "-o", "i"], "PCA9")
        self.assertFalse(os.path.exists(self.path("model")))

    def test_bad_data(self):
        rows = vectors(8, 30, 4)
        self.fit("pca", rows, "--dim", 2)
        with open(self.path("model"), "rb") as file:
            model = file.read()
        rows[7][2] = math.nan
        self.write_npy("nan.npy", rows)
        self.write_npy("wide.npy", vectors(9, 5, 6))
        self.write_npy("flat.npy", [[1.0, 2.0]] * 5)
        self.fails(1, ["fit", "pca", "--input", "nan.npy", "-o", "model"], "row 7 has NaN")
        self.fails(1, ["fit", "pca", "--input", "flat.npy", "-o", "model"], "are the same")
        self.fails(1, ["fit", "pca", "--input", "x.npy", "-o", "no/model"], "no/model")
        self.fails(1, ["apply", "model", "--input", "wide.npy", "-o", "y.npy"], "6 numbers",
                   "takes 4")
        self.fails(1, ["apply", "model", "--input", "nan.npy", "-o", "y.npy"], "row 7 holds NaN")
        self.fails(1, ["apply", "x.npy", "--input", "x.npy", "-o", "y.npy"], "x.npy")
        self.fails(1, ["eval", "--input", "wide.npy", "--labels", "x.npy", "--project", "model"])
        self.fails(1, ["build", "Flat", "--project", "model", "--input", "wide.npy", "-o", "i"],
                   "takes rows of 4")
        self.write("model2", model[:-9])
        self.fails(1, ["info", "model2"], "model2")
        self.assertFalse(os.path.exists(self.path("y.npy")))
        with open(self.path("model"), "rb") as file:  # the old model stays
            self.assertEqual(file.read(), model)


if __name__ == "__main__":
    unittest.main()
