"""The presets against the public formulas derived once more with numpy, by sorting, on sets with ties, ragged
cliques, noise songs and single-item cliques; and against what torch and scikit-learn gave (make_presets.py).

Ties are broken by row here too: numpy's stable sort leaves equal values in the order of rows.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: the presets are derived with numpy, which /usr/bin/python3 does not have")
    sys.exit(77)

VINDEX = os.environ["VINDEX"]
FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "presets.json"
f32 = np.float32


def relevance(distances, labels, query_labels=None):
    """Per query the relevance of the candidates, best first, in a stable order, and how many relevant ones are
    exactly as far as another. The queries are the candidates themselves where they have no labels of their own."""
    rows, tied = [], 0
    for q, row in enumerate(distances):
        clique = labels[q] if query_labels is None else query_labels[q]
        order = [i for i in np.argsort(row, kind="stable") if query_labels is not None or i != q]
        relevant = np.array([labels[i] == clique for i in order])
        sorted_row = np.asarray(row)[order]
        equal = np.concatenate([[False], sorted_row[1:] == sorted_row[:-1], [False]])
        tied += int((relevant & (equal[1:] | equal[:-1])).sum())
        rows.append(relevant)
    return rows, tied


def ranks_of(row):
    return np.flatnonzero(row) + 1


def average_precision(ranks, kind):
    terms = (np.arange(1, len(ranks) + 1) / ranks).astype(kind)
    return kind(terms.sum(dtype=np.float64) / len(ranks))


def re_move(rows):
    queries = [ranks_of(row) for row in rows]
    firsts = np.array([r[0] if len(r) else 1 for r in queries], f32)  # a noise song's argmax is its first rank
    aps = np.array([average_precision(r, f32) for r in queries if len(r)], f32)
    tens = sum((r <= 10).sum() for r in queries)
    ones = sum((r <= 1).sum() for r in queries)
    return {"mAP": f"{f32(aps.mean(dtype=np.float64)):.3f}",
            "MRR": f"{f32((1 / firsts).mean(dtype=np.float64)):.3f}",
            "MR": f"{f32(firsts.mean(dtype=np.float64)):.3f}", "Top1": f"{ones}", "Top10": f"{tens}"}


def acoss(rows):
    queries = [ranks_of(row) for row in rows if row.any()]
    firsts = np.array([r[0] for r in queries])
    lines = {"MR": "%.3g" % firsts.mean(), "MRR": "%.3g" % ((1 / firsts).sum() / len(rows)),
             "MDR": "%.3g" % np.median(firsts),
             "MAP": "%.3g" % np.mean([average_precision(r, np.float64) for r in queries])}
    for top in 1, 10, 100, 1000:
        lines[f"Top-{top}"] = "%i" % (firsts <= top).sum()
    return lines


def clews(rows, own):
    """own: 1 where the query stays in the list, infinitely far from itself and so one more irrelevant item."""
    queries = [row for row in rows if row.any()]
    aps = np.array([average_precision(ranks_of(row), f32) for row in queries], f32)
    firsts = np.array([ranks_of(row)[0] for row in queries], f32)
    percentiles = np.array([100 * np.cumsum(~row)[row].mean() / max((~row).sum() + own, 1) for row in queries], f32)
    lines = {}
    for name, values, form in ("ARP", percentiles, "%.2f"), ("MAP", aps, "%.3f"), ("MR1", firsts, "%.1f"):
        values = values.astype(np.float64)
        lines[name] = form % f32(values.mean())
        lines[name + " c.i."] = form % f32(1.96 * values.std(ddof=1) / np.sqrt(len(values)))
    return lines


def discogs_vinet(rows):
    queries = [ranks_of(row) for row in rows if row.any()]
    firsts = np.array([r[0] for r in queries], f32)
    aps = np.array([average_precision(r, f32) for r in queries], f32).mean(dtype=np.float64)
    return {"MAP": f"{round(float(f32(aps)), 3):.3f}",
            "MRR": f"{round(float(f32((1 / firsts).mean(dtype=np.float64))), 3):.3f}",
            "MR1": f"{round(float(f32(firsts.mean(dtype=np.float64))), 2):.3f}",
            "Top1": f"{sum((r <= 1).sum() for r in queries)}",
            "Top10": f"{sum((r <= 10).sum() for r in queries)}"}


def coverhunter(rows, depth=10000):
    aps, tens, firsts, hits = 0.0, 0, 0, 0
    for row in rows:
        ranks = ranks_of(row)
        near = ranks[ranks <= depth]
        aps += float((np.arange(1, len(near) + 1) / near).sum() / len(near)) if len(near) else 0
        tens += int((near <= 10).sum())
        firsts += int(ranks[0]) if len(ranks) else 0
        hits += bool(len(row) and row[0])
    n = len(rows)
    return {"mean_ap": aps / n, "top10": tens / n / 10, "rank1": firsts / n, "hit_rate": hits / n}


PRESETS = {"re-move": re_move, "acoss": acoss, "clews": clews, "discogs-vinet": discogs_vinet,
           "coverhunter": coverhunter}


class Checker:
    def __init__(self, folder):
        self.folder, self.checks = pathlib.Path(folder), 0

    def run(self, *words):
        done = subprocess.run([VINDEX, "eval", *map(str, words), "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, cwd=self.folder, check=False)
        if done.returncode:
            sys.exit(f"vindex eval {words}: {done.stderr}")
        return json.loads(done.stdout)

    def write(self, array, labels, values="values.npy", names="labels.txt"):
        np.save(self.folder / values, np.asarray(array, np.float32))
        (self.folder / names).write_text("".join(f"{label}\n" for label in labels))

    def printed(self, what, flag, preset, expected, *more):
        found = self.run(flag, "values.npy", "--labels", "labels.txt", "--preset", preset, *more)
        assert found["preset"] == preset
        for name, value in expected.items():
            shown = found["printed"][name]
            # A float that Python prints in full may differ in the last bit, by the order of a sum.
            exact = isinstance(value, str)
            same = shown == float(value) if exact else abs(shown - value) <= 1e-13 * max(1, abs(value))
            assert same, f"{what}, {preset}: {name} is {shown}, and {value} by the formulas"
            self.checks += 1
        assert len(found["printed"]) == len(expected), found["printed"]
        return found

    def presets(self, what, flag, rows, tied, own, *more):
        """Every preset; own is 1 in a square set."""
        noise = sum(not row.any() for row in rows)
        for preset, formulas in PRESETS.items():
            expected = formulas(rows, own) if preset == "clews" else formulas(rows)
            found = self.printed(what, flag, preset, expected, *more)
            counts = found["noise"], found["queries"], found["tied"]
            assert counts == (noise, len(rows) - noise, tied), (what, preset, counts)
        for depth in 1, 7:
            self.printed(what, flag, "coverhunter", coverhunter(rows, depth), "--depth", depth, *more)


def squares(a, b):
    return ((a.astype(np.float64)[:, None] - b.astype(np.float64)[None]) ** 2).sum(-1)


def angles(rows):
    """Minus the cosine; a copy gets the very same number, which a matrix product does not promise."""
    unit = rows.astype(np.float64)
    unit /= np.sqrt((unit**2).sum(1, keepdims=True))
    return -(unit[:, None] * unit[None]).sum(-1)


def sets():
    """name, flag, values, labels, distances and further options."""
    source = np.random.default_rng(11)
    for n, dim, levels in (12, 3, 3), (60, 2, 4), (150, 4, 0), (400, 3, 6):
        rows = source.integers(0, levels, (n, dim)) if levels else source.normal(size=(n, dim)).astype(f32)
        ragged = (source.random(n) ** 2 * n).astype(int)  # low numbers are many, high ones alone
        yield f"{n} rows, l2", "--input", rows, ragged, squares(rows, rows)
        matrix = source.integers(0, 9, (n, n)).astype(f32)  # not symmetric, ties everywhere
        yield f"{n} x {n} distances", "--distance", matrix, ragged, matrix
        yield f"{n} x {n} similarities", "--similarity", matrix, ragged, -matrix
    pairs = np.arange(60) // 2
    rows = source.normal(size=(60, 3)).astype(f32)
    yield "pairs alone", "--input", rows, pairs, squares(rows, rows)
    # Copies of real-valued vectors: of each place several songs, some of one clique, some noise.
    rows = source.normal(size=(25, 7)).astype(f32)[source.integers(0, 25, 90)]
    ragged = (source.random(90) ** 2 * 60).astype(int)
    yield "copies, l2", "--input", rows, ragged, squares(rows, rows)
    yield "copies, cosine", "--input", rows, ragged, angles(rows), "--metric", "cosine"


def check_split(check):
    """Queries of their own: some cliques have a single candidate, some none, some candidates no query."""
    source = np.random.default_rng(5)
    values, queries = source.integers(0, 4, (70, 2)), source.integers(0, 4, (50, 2))
    labels = (source.random(70) ** 2 * 50).astype(int)
    query_labels = (source.random(50) ** 2 * 60).astype(int)
    counts = {int((labels == label).sum()) for label in query_labels}
    assert {0, 1, 2} < counts, counts
    check.write(values, labels)
    check.write(queries, query_labels, "queries.npy", "query_labels.txt")
    rows, tied = relevance(squares(queries, values), labels, query_labels)
    words = "--queries", "queries.npy", "--query-labels", "query_labels.txt"
    check.presets("a split", "--input", rows, tied, 0, *words)


def check_negatives(check):
    """coverhunter leaves candidates out whose distance is negative, relevant ones too."""
    source = np.random.default_rng(3)
    matrix = source.integers(-2, 6, (40, 40)).astype(f32)
    labels = source.integers(0, 9, 40)
    rows = []
    for q, row in enumerate(matrix):
        order = [i for i in np.argsort(row, kind="stable") if i != q and row[i] >= 0]
        rows.append(np.array([labels[i] == labels[q] for i in order], bool))
    check.write(matrix, labels)
    check.printed("negative distances", "--distance", "coverhunter", coverhunter(rows))


def check_fixture(check):
    made = json.loads(FIXTURE.read_text())
    for what, songs in made["sets"].items():
        check.write(np.array(songs["places"])[:, None], songs["labels"])
        for name, expected in songs["printed"].items():
            preset, *depth = name.split()
            if preset == "coverhunter":
                expected = {key: float(value) for key, value in expected.items()}
            found = check.printed(what, "--input", preset, expected, *(["--depth", *depth] if depth else []))
            assert found["tied"] == songs["tied"], (what, found["tied"])
    classes = made["classes"]
    check.write(np.array(classes["rows"]), classes["labels"])
    for metric, silhouette in classes["silhouette"].items():
        found = check.run("--input", "values.npy", "--labels", "labels.txt", "--metric", metric, "--silhouette",
                          "--prototypes")
        assert abs(found["silhouette"] - silhouette) < 1e-9, (metric, found["silhouette"], silhouette)
        if metric == "l2":
            assert abs(found["AUC"] - classes["AUC"]) < 1e-6, (found["AUC"], classes["AUC"])
        check.checks += 1


def main():
    with tempfile.TemporaryDirectory(prefix="vindex-presets-") as folder:
        check = Checker(folder)
        for what, flag, values, labels, distances, *more in sets():
            check.write(values, labels)
            check.presets(what, flag, *relevance(distances, labels), 1, *more)
        check_split(check)
        check_negatives(check)
        check_fixture(check)
        print(f"{check.checks} values agree")


main()
