"""vindex eval against the formulas written out in plain Python."""
import json
import random
import statistics
import unittest
from collections import Counter

from harness import CliTest, ranking, vectors


def measure(rankings, relevant_of):
    """The measures, from each query's ranked rows and its set of relevant rows."""
    ap, first, percentiles, precision, noise = [], [], [], [], 0
    for query, ranked in rankings.items():
        relevant = relevant_of(query)
        if not relevant:
            noise += 1
            continue
        ranks = [r for r, row in enumerate(ranked, 1) if row in relevant]
        ap.append(sum(n / r for n, r in enumerate(ranks, 1)) / len(ranks))
        first.append(ranks[0])
        irrelevant = len(ranked) - len(ranks)
        above = [(r - n) / irrelevant for n, r in enumerate(ranks, 1)]
        percentiles.append(100 * sum(above) / len(above))
        precision.append(sum(r <= 10 for r in ranks) / 10)
    count = len(ap)
    result = {
        "MAP": sum(ap) / count,
        "MR1": sum(first) / count,
        "MRR": sum(1 / r for r in first) / count,
        "MDR": statistics.median(first),
        "Top1": sum(r <= 1 for r in first),
        "Top10": sum(r <= 10 for r in first),
        "ARP": sum(percentiles) / count,
        "P@10": sum(precision) / count,
        "queries": count,
        "noise": noise,
    }
    for k in 1, 2, 4, 8:
        result[f"R{k}"] = sum(r <= k for r in first) / count
    return result


class EvalTest(CliTest):
    def setUp(self):
        super().setUp()
        source = random.Random(5)
        self.labels = ["w%d" % (i // 4) for i in range(40)] + ["n%d" % i for i in range(9)]
        source.shuffle(self.labels)
        centres = {name: vectors(i, 1, 6)[0] for i, name in enumerate(sorted(set(self.labels)))}
        self.rows = []
        for i, label in enumerate(self.labels):
            self.rows.append([c + 0.9 * x for c, x in zip(centres[label], vectors(100 + i, 1, 6)[0])])
        self.rows = [[float("%.4g" % x) for x in row] for row in self.rows]
        self.write("songs.csv", "a,b,c,d,e,f\n" +
                   "".join(",".join(map(repr, row)) + "\n" for row in self.rows))
        self.write_npy("songs.npy", self.rows)
        self.write_labels("labels.csv", self.labels)

    def same_clique(self, query):
        return {i for i, label in enumerate(self.labels)
                if label == self.labels[query] and i != query}

    def expected(self, metric):
        rankings = {q: [i for _, i in ranking(metric, self.rows[q], self.rows, skip=q)]
                    for q in range(len(self.rows))}
        return measure(rankings, self.same_clique)

    def assert_measures(self, found, expected):
        for key, value in expected.items():
            self.assertAlmostEqual(found[key], value, places=9, msg=key)

    def test_every_metric(self):
        for metric in "l2", "ip", "cosine", "pearson":
            found = self.ok_json("eval", "--input", "songs.npy", "--labels", "labels.csv",
                                 "--metric", metric)
            self.assert_measures(found, self.expected(metric))
            self.assertEqual(found["candidates"], len(self.rows))
            self.assertEqual((found["preset"], found["metric"]), ("default", metric))

    def test_through_an_index(self):
        found = self.ok_json("eval", "--input", "songs.npy", "--labels", "labels.csv",
                             "--metric", "cosine", "--index", "Flat")
        self.assert_measures(found, self.expected("cosine"))
        self.assertEqual(found["index"], "Flat")

    def test_labels_joined_by_id(self):
        order = list(range(len(self.rows)))
        random.Random(1).shuffle(order)
        self.write("named.csv", "track,a,b,c,d,e,f\n" + "".join(
            f"P{i}," + ",".join(map(repr, self.rows[i])) + "\n" for i in order))
        found = self.ok_json("eval", "--input", "named.csv", "--id-column", "track",
                             "--labels", "labels.csv")
        self.assertAlmostEqual(found["MAP"], self.expected("l2")["MAP"], places=9)
        self.write_labels("short.csv", self.labels[:-1])
        self.fails(1, ["eval", "--input", "named.csv", "--id-column", "track", "--labels",
                       "short.csv"], f"P{len(self.labels) - 1}")

    def test_label_column(self):
        self.write("labelled.csv", "a,b,c,d,e,f,work\n" + "".join(
            ",".join(map(repr, row)) + f",{label}\n" for row, label in zip(self.rows, self.labels)))
        found = self.ok_json("eval", "--input", "labelled.csv", "--label-column", "work")
        self.assert_measures(found, self.expected("l2"))

    def test_queries_are_numbered_like_candidates(self):
        split = 12
        self.write_npy("queries.npy", self.rows[:split])
        self.write_npy("candidates.npy", self.rows[split:])
        self.write_labels("lq.csv", self.labels[:split])
        self.write_labels("lc.csv", self.labels[split:])
        candidates = self.rows[split:]
        rankings = {q: [i for _, i in ranking("l2", self.rows[q], candidates)] for q in range(split)}
        expected = measure(rankings, lambda q: {
            i for i, label in enumerate(self.labels[split:]) if label == self.labels[q]})
        votes = sum(Counter(self.labels[split + i] for i in rankings[q][:1]).most_common(1)[0][0]
                    == self.labels[q] for q in range(split))
        words = ["eval", "--input", "candidates.npy", "--labels", "lc.csv", "--queries",
                 "queries.npy", "--query-labels", "lq.csv", "--knn", 1]
        for more in [], ["--index", "Flat"]:
            found = self.ok_json(*words, *more)
            self.assert_measures(found, expected)
            self.assertAlmostEqual(found["knn_accuracy"], votes / split)

    def test_matrices(self):
        count = len(self.rows)
        for flag, metric in ("--distance", "l2"), ("--similarity", "cosine"):
            matrix = [[0.0] * count for _ in range(count)]
            for q in range(count):
                for value, i in ranking(metric, self.rows[q], self.rows):
                    matrix[q][i] = value
            self.write_npy("matrix.npy", matrix)
            found = self.ok_json("eval", flag, "matrix.npy", "--labels", "labels.csv")
            self.assert_measures(found, self.expected(metric))
            self.assertEqual(found["metric"], flag[2:] + " matrix")
        self.write_npy("wide.npy", [row[:10] for row in matrix])
        self.fails(1, ["eval", "--similarity", "wide.npy", "--labels", "labels.csv"],
                   str(count), "10")

    def test_per_query(self):
        self.ok("eval", "--input", "songs.npy", "--labels", "labels.csv", "--per-query", "q.jsonl")
        with open(self.path("q.jsonl")) as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([line["id"] for line in lines], [f"P{i}" for i in range(len(self.rows))])
        self.assertEqual([line["clique"] for line in lines], self.labels)
        aps = [line["AP"] for line in lines if line["AP"] is not None]
        self.assertAlmostEqual(sum(aps) / len(aps), self.expected("l2")["MAP"], places=9)
        for q, line in enumerate(lines):
            self.assertEqual(line["relevant"], len(self.same_clique(q)))
            self.assertEqual(line["first_rank"] is None, line["AP"] is None)

    def test_no_query_remains(self):
        self.write_labels("alone.csv", range(len(self.rows)))
        found = self.ok_json("eval", "--input", "songs.npy", "--labels", "alone.csv")
        self.assertEqual((found["queries"], found["MAP"], found["MR1"]), (0, None, None))

    def test_the_report_says_how_it_counts(self):
        text = self.ok("eval", "--input", "songs.npy", "--labels", "labels.csv")
        for word in "MAP", "queries", "candidates", "ties go to the smaller row", "default":
            self.assertIn(word, text)

    def test_wrong_labels(self):
        self.write_labels("short.csv", self.labels[:7])
        words = ["eval", "--input", "songs.npy", "--labels"]
        self.fails(1, [*words, "short.csv"], "7", str(len(self.rows)))
        self.fails(1, [*words, "missing.csv"], "missing.csv")
        self.fails(2, ["eval", "--input", "songs.npy"], "--labels")
        self.fails(2, [*words, "labels.csv", "--preset", "nonsense"], "nonsense", "default")
        self.fails(2, [*words, "labels.csv", "--metric", "nonsense"], "nonsense", "cosine")
        self.fails(2, [*words, "labels.csv", "--index", "Nonsense"], "Nonsense", "Flat")
        self.fails(2, [*words, "labels.csv", "--knn", "-3"], "-3")
        self.fails(2, [*words, "labels.csv", "--query-labels", "labels.csv"], "--queries")


if __name__ == "__main__":
    unittest.main()
