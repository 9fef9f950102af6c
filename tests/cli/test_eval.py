"""vindex eval against the formulas written out in plain Python."""
import json
import os
import random
import shutil
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

    def per_query(self, *words):
        self.ok("eval", "--labels", "labels.csv", "--per-query", "q.jsonl", *words)
        with open(self.path("q.jsonl")) as file:
            return [json.loads(line) for line in file]

    def test_per_query_has_the_nearest(self):
        for flags, metric, unit in ([], "l2", 1), (["--metric", "l2/d"], "l2", 6), (["--metric", "cosine"], "cosine", 1):
            for more in [], ["--index", "Flat"]:
                lines = self.per_query("--input", "songs.npy", "--top", 3, *flags, *more)
                for q, line in enumerate(lines):
                    best = ranking(metric, self.rows[q], self.rows, skip=q)[:3]
                    self.assertEqual([hit["id"] for hit in line["top"]], [f"P{i}" for _, i in best])
                    for hit, (value, _) in zip(line["top"], best):
                        self.assertAlmostEqual(hit["distance"], value / unit, places=5)
        self.assertNotIn("top", self.per_query("--input", "songs.npy", "--top", 0)[0])

    def worse(self):
        """The same songs with some noise."""
        noise = vectors(77, len(self.rows), 6)
        self.write_npy("worse.npy", [[x + 0.8 * y for x, y in zip(a, b)] for a, b in zip(self.rows, noise)])

    def test_compare(self):
        self.worse()
        other = [line["AP"] for line in self.per_query("--input", "worse.npy")]
        words = ["eval", "--input", "songs.npy", "--labels", "labels.csv", "--compare"]
        by_file = self.ok_json(*words, "q.jsonl")["compare"]
        by_rows = self.ok_json(*words, "worse.npy", "--threads", 1)["compare"]
        self.assertEqual({**by_file, "file": ""}, {**by_rows, "file": ""})
        mine = [line["AP"] for line in self.per_query("--input", "songs.npy")]
        pairs = [(a, b) for a, b in zip(mine, other) if a is not None]
        difference = sum(a - b for a, b in pairs) / len(pairs)
        self.assertAlmostEqual(by_file["difference"], difference, places=12)
        self.assertEqual(by_file["queries"], len(pairs))
        self.assertEqual(by_file["better"], sum(a > b for a, b in pairs))
        low, high = by_file["interval"]
        self.assertTrue(low < difference < high)
        self.assertAlmostEqual(by_file["other"]["MAP"], sum(b for _, b in pairs) / len(pairs), places=12)
        expected = self.expected("l2")
        for name in "MAP", "MR1", "MRR", "MDR", "Top1", "Top10":
            self.assertAlmostEqual(by_file["this"][name], expected[name], places=9)
        self.assertIn("paired bootstrap", self.ok(*words, "q.jsonl"))

    def test_compare_joins_by_id(self):
        lines = self.per_query("--input", "songs.npy")
        words = ["eval", "--input", "songs.npy", "--labels", "labels.csv", "--compare"]
        text = [json.dumps(line) for line in lines]
        self.write("turned.jsonl", "\n".join(reversed(text)) + "\n")
        self.assertEqual(self.ok_json(*words, "turned.jsonl")["compare"]["difference"], 0)
        self.write("short.jsonl", "\n".join(text[1:]) + "\n")
        self.fails(1, [*words, "short.jsonl"], str(len(text)), str(len(text) - 1))
        self.write("twice.jsonl", "\n".join(text[1:] + text[-1:]) + "\n")
        self.fails(1, [*words, "twice.jsonl"], "appears twice")
        self.write("other.jsonl", "\n".join(text).replace('"P3"', '"X"') + "\n")
        self.fails(1, [*words, "other.jsonl"], "'P3'")
        self.write("broken.jsonl", text[0] + "\n{}\n")
        self.fails(1, [*words, "broken.jsonl"], "line 2")
        self.write("empty.jsonl", "")
        self.fails(1, [*words, "empty.jsonl"], "no query")
        self.fails(1, [*words, "missing.jsonl"], "missing.jsonl")
        self.fails(2, [*words, "songs.npy", "--queries", "songs.npy", "--query-labels", "labels.csv"], ".jsonl")

    def test_dims(self):
        def measured(*words):
            return self.ok_json("eval", "--labels", "labels.csv", *words)

        part = [row[:2] + row[4:5] for row in self.rows]
        self.write_npy("part.npy", part)
        self.write_npy("weights.npy", [[1, 1, 0, 0, 1, 0]])
        for metric in "l2", "pearson":
            expected = measured("--input", "part.npy", "--metric", metric)
            for dims in "0-1,4", "4,0,1", "weights.npy":
                found = measured("--input", "songs.npy", "--metric", metric, "--dims", dims)
                self.assertEqual(found["dims"], 3)
                self.assertEqual(found["MAP"], expected["MAP"])
        self.write_npy("double.npy", [[4, 1, 0, 0, 1, 0]])
        self.write_npy("scaled.npy", [[2 * a, b, c] for a, b, c in part])
        self.assertEqual(measured("--input", "songs.npy", "--dims", "double.npy")["MAP"],
                         measured("--input", "scaled.npy")["MAP"])
        words = ["eval", "--input", "songs.npy", "--labels", "labels.csv", "--dims"]
        self.fails(1, [*words, "0-6"], "0-6", "6 dimensions")
        self.fails(2, [*words, "1,,2"], "1,,2")
        self.fails(1, [*words, "part.npy"], "6 dimensions")
        self.fails(1, [*words, "double.npy", "--metric", "pearson"], "weight 4")
        self.write_npy("none.npy", [[0] * 6])
        self.fails(1, [*words, "none.npy"], "no dimension is left")

    def segmented(self):
        """Recordings of one to three rows, and the padding of each to three."""
        rows, padded, names, lines = [], [], [], []
        for i, row in enumerate(self.rows):
            segments = [row] + [[x + 0.3 * y for x, y in zip(row, z)] for z in vectors(500 + i, i % 3, 6)]
            segments = [[float("%.4g" % x) for x in segment] for segment in segments]
            rows.append(segments)
            lines += [f"P{i}," + ",".join(map(repr, segment)) for segment in segments]
            padded += segments + [[0.0] * 6] * (3 - len(segments))
            names += [f"P{i}"] * 3
        header = "track,a,b,c,d,e,f\n"
        self.write("segments.csv", header + "\n".join(lines) + "\n")
        self.write("padded.csv", header + "\n".join(
            f"{name}," + ",".join(map(repr, row)) for name, row in zip(names, padded)) + "\n")
        return rows

    def test_segments(self):
        rows = self.segmented()

        def distance(a, b):  # the mean over the query's segments of the nearest of the candidate's
            return sum(min(ranking("l2", x, b)[0][0:1]) for x in a) / len(a)

        rankings = {q: [i for _, i in sorted((distance(rows[q], rows[i]), i) for i in range(len(rows)) if i != q)]
                    for q in range(len(rows))}
        expected = measure(rankings, self.same_clique)
        words = ["eval", "--id-column", "track", "--labels", "labels.csv", "--input"]
        for more in ["segments.csv"], ["padded.csv", "--padding", "zeros"]:
            found = self.ok_json(*words, *more, "--segments", "meanmin", "--per-query", "s.jsonl")
            self.assert_measures(found, expected)
            self.assertEqual((found["candidates"], found["segments"]), (len(rows), "meanmin"))
        with open(self.path("s.jsonl")) as file:
            self.assertEqual([json.loads(line)["id"] for line in file], [f"P{i}" for i in range(len(rows))])
        self.fails(1, [*words, "segments.csv"], "P1")
        self.fails(2, [*words, "segments.csv", "--segments", "median"], "median", "minmean")
        self.fails(2, [*words, "segments.csv", "--padding", "zeros"], "--segments")
        self.fails(2, [*words, "segments.csv", "--segments", "min", "--padding", "ones"], "ones")
        self.fails(2, [*words, "segments.csv", "--segments", "min", "--silhouette"], "--silhouette")

    def test_triplets(self):
        source = random.Random(9)
        triplets = [[source.randrange(len(self.rows)) for _ in range(3)] for _ in range(50)]
        right = 0
        for a, p, n in triplets:
            place = [i for _, i in ranking("cosine", self.rows[a], self.rows)]
            right += place.index(p) < place.index(n)
        lines = [" ".join(map(str, t)) for t in triplets]
        self.write("rows.txt", "\n".join(lines) + "\n")
        found = self.ok_json("eval", "--input", "songs.npy", "--triplets", "rows.txt", "--metric", "cosine")
        self.assertEqual((found["triplets"], found["triplet_accuracy"] * 50), (50, right))
        self.assertNotIn("MAP", found)
        lines = [",".join(f"P{i}" for i in t) for t in triplets]
        self.write("ids.csv", "anchor,positive,negative\n" + "\n".join(lines) + "\n")
        words = ["eval", "--input", "songs.npy", "--labels", "labels.csv", "--metric", "cosine", "--triplets"]
        found = self.ok_json(*words, "ids.csv")
        self.assertEqual(found["triplet_accuracy"] * 50, right)
        self.assertIn("MAP", found)
        self.fails(1, [*words, "rows.txt"], "line 1")
        for name, text, fragment in (("two", "P1,P2\n", "2 names"), ("four", "P1,P2,P3,P4\n", "three names"),
                                     ("nothing", "anchor,positive,negative\n", "no triplet")):
            self.write(name, text)
            self.fails(1, [*words, name], fragment)
        self.fails(1, ["eval", "--input", "songs.npy", "--triplets", "ids.csv"], "row of --input")
        self.fails(2, ["eval", "--input", "songs.npy", "--triplets", "rows.txt", "--silhouette"], "--labels")

    def test_prototypes_and_silhouette(self):
        found = self.ok_json("eval", "--input", "songs.npy", "--labels", "labels.csv", "--prototypes",
                             "--silhouette")
        self.assertEqual(found["prototype_queries"], found["queries"])
        self.assertTrue(0.5 < found["AUC"] <= 1 and -1 <= found["silhouette"] <= 1)
        self.fails(1, ["eval", "--input", "songs.npy", "--labels", "labels.csv", "--silhouette", "--metric", "ip"],
                   "dot product")

    def test_presets_are_named(self):
        for name in "re-move", "acoss", "clews", "discogs-vinet", "coverhunter":
            words = ["eval", "--input", "songs.npy", "--labels", "labels.csv", "--preset", name]
            found = self.ok_json(*words)
            self.assertEqual(found["preset"], name)
            self.assertIn(name, found["convention"])
            text = self.ok(*words)
            for line in found["printed"]:
                self.assertIn("printed " + line, text)
        self.fails(2, [*words[:-1], "re-move", "--depth", 5], "coverhunter")

    def test_pictures(self):
        words = ["eval", "--input", "songs.npy", "--labels", "labels.csv"]
        if shutil.which("gnuplot"):
            for ending, start in ("svg", b"<?xml"), ("png", b"\x89PNG"):
                self.ok(*words, "--plot", f"it's.{ending}", "--scatter", f"scatter.{ending}")
                for name in f"it's.{ending}", f"scatter.{ending}":
                    with open(self.path(name), "rb") as file:
                        self.assertTrue(file.read(5).startswith(start[:4]))
            drawn = [name for name in os.listdir(self.folder) if name.startswith(("it's", "scatter"))]
            self.assertEqual(len(drawn), 4)  # and nothing else
            self.fails(1, [*words, "--plot", "no/such/folder.svg"], "gnuplot")
        self.fails(2, [*words, "--plot", "picture.pdf"], ".svg or .png")
        self.fails(1, [*words, "--plot", "picture.svg"], "install the package gnuplot",
                   env={**os.environ, "PATH": self.folder})
        self.assertFalse(os.path.exists(self.path("picture.svg")))

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
