"""Supervised projections from the command line: both views of cca, layers trained elsewhere, prototypes."""
import math
import os
import random
import unittest
import zipfile

from harness import CliTest, npy, read_npy

# Linear(3, 4) and BatchNorm1d(4) as torch saved them.
FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "io", "fixtures", "module_state_zip.pt")


def vector(values):
    """The bytes of a .npy file of one dimension."""
    flat, count = npy([values]), len(values)
    return flat.replace(b"(1, %d)" % count, b"(%d,)  " % count)


class SupervisedTest(CliTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(3)

    def rows(self, count, dim):
        return [[self.random.gauss(0, 1) for _ in range(dim)] for _ in range(count)]

    def table(self, name):
        with open(self.path(name), "rb") as file:
            return read_npy(file.read())

    def apply(self, model, rows):
        self.write("rows.npy", npy(rows))
        self.ok("apply", self.path(model), "--input", self.path("rows.npy"), "-o", self.path("out.npy"))
        return self.table("out.npy")

    def test_both_views(self):
        shared = self.rows(60, 1)
        x = [[s[0] + 0.1 * a, b, c] for s, (a, b, c) in zip(shared, self.rows(60, 3))]
        y = [[a, b - 2 * s[0]] for s, (a, b) in zip(shared, self.rows(60, 2))]
        self.write("x.npy", npy(x))
        self.write("y.npy", npy(y))
        words = ["fit", "cca", "--input", self.path("x.npy"), "--second", self.path("y.npy"), "--dim", 1]
        first = self.ok_json(*words, "-o", self.path("x.model"))
        self.ok(*words, "--set", "view=second", "-o", self.path("y.model"))
        a = [row[0] for row in self.apply("x.model", x)]
        b = [row[0] for row in self.apply("y.model", y)]
        agree = sum(p * q for p, q in zip(a, b)) / 60
        said = first["steps"][0]["facts"]["correlations"]
        self.assertAlmostEqual(agree, said if isinstance(said, float) else said[0], places=3)
        self.fails(2, ["fit", "standardise,cca", *words[2:], "--set", "view=second", "-o",
                       self.path("z.model")], "second view")
        self.assertFalse(os.path.exists(self.path("z.model")))

    def test_import(self):
        weight, bias = self.rows(2, 3), [0.5, -1.0]
        mean, variance = [1.0, 2.0], [4.0, 0.25]
        os.mkdir(self.path("state"))
        for name, values in (("lin1.weight", weight), ("lin1.bias", bias),
                             ("bn.running_mean", mean), ("bn.running_var", variance)):
            self.write(f"state/{name}.npy", npy(values) if isinstance(values[0], list) else vector(values))
        words = ["import", self.path("state"), "--linear", "lin1"]
        shape = self.ok_json(*words, "--batch-norm", "bn", "--no-affine", "-o", self.path("m.model"))
        self.assertEqual((shape["dim"], shape["output_dim"]), (3, 2))
        rows = self.rows(5, 3)
        for row, found in zip(rows, self.apply("m.model", rows)):
            for o in range(2):
                y = sum(w * x for w, x in zip(weight[o], row)) + bias[o]
                self.assertAlmostEqual(found[o], (y - mean[o]) / math.sqrt(variance[o] + 1e-5), places=4)
        self.fails(1, [*words, "--batch-norm", "bn", "-o", self.path("n.model")], "bn.weight")
        self.fails(2, [*words, "--no-affine", "-o", self.path("n.model")], "--batch-norm")
        self.fails(2, ["import", self.path("state"), "-o", self.path("n.model")], "--linear")
        self.write("state/bn.running_mean.npy", vector([1.0, 2.0, 3.0]))
        self.fails(1, [*words, "--batch-norm", "bn", "--no-affine", "-o", self.path("n.model")],
                   "running_mean has 1 x 3 numbers", "2 outputs")
        self.assertFalse(os.path.exists(self.path("n.model")))

    def test_import_from_containers(self):
        """By keys with points in them, from .pt and .npz alike."""
        parts = {}
        with zipfile.ZipFile(self.path("state.npz"), "w") as state:
            for key in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
                self.ok("convert", FIXTURE, self.path("part.npy"), "--key", key)
                parts[key] = self.table("part.npy")
                flat = parts[key] if key == "0.weight" else parts[key][0]
                state.writestr("model." + key + ".npy", npy(flat) if key == "0.weight" else vector(flat))
        self.ok("import", FIXTURE, "--linear", "0", "--batch-norm", "1", "-o", self.path("pt.model"))
        self.ok("import", self.path("state.npz"), "--linear", "model.0", "--batch-norm", "model.1", "-o",
                self.path("npz.model"))
        rows = self.rows(5, 3)
        for model in "pt.model", "npz.model":
            for row, found in zip(rows, self.apply(model, rows)):
                for o, weights in enumerate(parts["0.weight"]):
                    y = sum(w * x for w, x in zip(weights, row)) + parts["0.bias"][0][o]
                    y = (y - parts["1.running_mean"][0][o]) / math.sqrt(parts["1.running_var"][0][o] + 1e-5)
                    self.assertAlmostEqual(found[o], y * parts["1.weight"][0][o] + parts["1.bias"][0][o], places=5)
        self.fails(1, ["import", FIXTURE, "--linear", "2", "-o", self.path("n.model")], "no key '2.weight'",
                   "'0.weight'")

    def test_prototypes(self):
        rows, names = self.rows(9, 3), list("bbacacbac")
        self.write("x.npy", npy(rows))
        self.write("labels.txt", "\n".join(names) + "\n")
        self.ok("fit", "centre", "--input", self.path("x.npy"), "-o", self.path("c.model"))
        projected = self.apply("c.model", rows)
        words = ["apply", self.path("c.model"), "--input", self.path("x.npy"), "-o", self.path("p.npy")]
        report = self.ok_json(*words, "--labels", self.path("labels.txt"), "--prototypes",
                              self.path("names.csv"))
        self.assertEqual((report["prototypes"], report["dim"]), (3, 3))
        with open(self.path("names.csv"), encoding="utf-8") as file:
            order = [line.split(",")[0].strip('"\n') for line in file][1:]
        self.assertEqual(sorted(order), ["a", "b", "c"])
        for name, mean in zip(order, self.table("p.npy")):
            mine = [row for row, label in zip(projected, names) if label == name]
            for j in range(3):
                self.assertAlmostEqual(mean[j], sum(row[j] for row in mine) / len(mine), places=4)
        self.fails(2, [*words, "--labels", self.path("labels.txt")], "--prototypes")

    def test_labels_are_asked_for(self):
        self.write("x.npy", npy(self.rows(9, 3)))
        for method in ("lda", "wccn", "nca", "lmnn"):
            self.fails(1, ["fit", method, "--input", self.path("x.npy"), "-o", self.path("m.model")],
                       f"{method}: it learns from labels")


if __name__ == "__main__":
    unittest.main()
