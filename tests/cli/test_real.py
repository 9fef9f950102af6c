"""Real data, where it is there: NSynth's features by 1-NN, SIFT's ids. Needs numpy."""
import os
import sys
import unittest

from harness import CliTest

BESIDE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared", "data")
DATA = os.path.abspath(os.environ.get("VINDEX_SHARED_DATA", BESIDE))

try:
    import numpy
except ImportError:
    numpy = None

if numpy is None or not os.path.isdir(os.path.join(DATA, "nsynth")):
    print(f"skipped: numpy is missing, or there is no nsynth in '{DATA}' (VINDEX_SHARED_DATA)")
    sys.exit(77)


def nsynth(part):
    path = os.path.join(DATA, "nsynth", f"nsynth_{part}.csv")
    table = numpy.genfromtxt(path, delimiter=",", dtype=str, skip_header=1)
    return path, table[:, 1:-1].astype(numpy.float32).astype(float), table[:, -1]


class NsynthTest(CliTest):
    def test_nearest_neighbour_accuracy(self):
        (train, a, labels_a), (valid, b, labels_b) = nsynth("train"), nsynth("valid")
        test, queries, wanted = nsynth("test")
        rows, labels = numpy.vstack([a, b]), numpy.concatenate([labels_a, labels_b])
        squared = ((queries[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
        expected = float((labels[squared.argmin(axis=1)] == wanted).mean())
        found = self.ok_json("eval", "--input", train, "--input", valid, "--queries", test,
                             "--id-column", 0, "--label-column", "instrument", "--knn", 1)
        self.assertEqual(found["knn_accuracy"], expected)
        self.assertEqual((found["candidates"], found["queries"] + found["noise"]), (1200, 200))


class SiftTest(CliTest):
    def test_ids_of_the_nearest(self):
        base = os.path.join(DATA, "sift5k", "sift-dataset-5k.tsv")
        queries = os.path.join(DATA, "sift5k", "sift-query-3.tsv")
        table = numpy.loadtxt(base, delimiter="\t")
        rows, ids = table[:, :128], table[:, 128].astype(int)
        asked = numpy.loadtxt(queries, delimiter="\t")[:, :128]
        built = self.ok_json("build", "Flat", "--input", base, "--id-column", 128, "-o", "sift.vindex")
        self.assertEqual((built["rows"], built["dim"]), (len(rows), 128))
        found = self.ok_json("search", "sift.vindex", "--queries", queries, "-k", 10)
        for query, got, distances in zip(asked, found["ids"], found["distances"]):
            squared = ((rows - query) ** 2).sum(axis=1)
            order = numpy.lexsort((ids, squared))[:10]
            self.assertEqual(got, ids[order].tolist())
            self.assertEqual(distances, squared[order].tolist())


if __name__ == "__main__":
    unittest.main()
