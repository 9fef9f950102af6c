"""The measures once more, in another language and by another method: ranks counted with numpy.

    oracle.py METRIC DIM VECTORS CLIQUES PRECISION_AT KNN [QUERIES QUERY_CLIQUES]

VECTORS holds float32, CLIQUES int32, both raw. Prints one "name value" line per measure.
"""

import sys

import numpy as np


def prepare(vectors, metric):
    vectors = vectors.astype(np.float64)
    if metric == "pearson":
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    if metric in ("cosine", "pearson"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.where(norms > 0, norms, 1)
    return vectors


def keys(queries, candidates, metric):
    """Smaller is better."""
    dots = queries @ candidates.T
    if metric != "l2":
        return -dots
    return (queries**2).sum(1)[:, None] - 2 * dots + (candidates**2).sum(1)[None, :]


def vote(classes):
    counts = {}
    for c in classes:
        counts[c] = counts.get(c, 0) + 1
    most = max(counts.values(), default=0)
    return next((c for c in classes if counts[c] == most), None)


def main(metric, dim, vector_file, clique_file, precision_at, knn, *split):
    dim, precision_at, knn = int(dim), int(precision_at), int(knn)
    vectors = prepare(np.fromfile(vector_file, np.float32).reshape(-1, dim), metric)
    cliques = np.fromfile(clique_file, np.int32)
    queries, query_cliques = vectors, cliques
    if split:
        queries = prepare(np.fromfile(split[0], np.float32).reshape(-1, dim), metric)
        query_cliques = np.fromfile(split[1], np.int32)
    rows = np.arange(len(vectors))
    precisions, firsts, within, percentiles, pairs, right = [], [], [], [], 0, 0
    for start in range(0, len(queries), 256):
        block = keys(queries[start : start + 256], vectors, metric)
        for q, key in enumerate(block, start):
            if not split:
                key[q] = np.inf
            others = len(vectors) - (not split)
            if knn:
                nearest = np.lexsort((rows, key))[: min(knn, others)]
                right += vote(list(cliques[nearest])) == query_cliques[q]
            relevant = np.flatnonzero(cliques == query_cliques[q])
            if not split:
                relevant = relevant[relevant != q]
            if not len(relevant):
                continue
            pairs += len(relevant)
            ranks = np.sort(
                [1 + (key < key[r]).sum() + (key[:r] == key[r]).sum() for r in relevant]
            )
            hits = np.arange(1, len(ranks) + 1)
            precisions.append((hits / ranks).mean())
            firsts.append(ranks[0])
            within.append((ranks <= precision_at).mean() * len(ranks) / precision_at)
            irrelevant = others - len(ranks)
            percentiles.append(100 * (ranks - hits).mean() / irrelevant if irrelevant else 0)
    firsts = np.array(firsts)
    report = {
        "queries": len(firsts),
        "noise": len(queries) - len(firsts),
        "relevant": pairs,
        "map": np.mean(precisions),
        "mr1": firsts.mean(),
        "mrr": (1 / firsts).mean(),
        "mdr": np.median(firsts),
        "top1": (firsts == 1).sum(),
        "top10": (firsts <= 10).sum(),
        "r1": (firsts <= 1).mean(),
        "r2": (firsts <= 2).mean(),
        "r4": (firsts <= 4).mean(),
        "r8": (firsts <= 8).mean(),
        "precision_at": np.mean(within),
        "arp": np.mean(percentiles),
        "arp_interval": 1.96 * np.std(percentiles, ddof=1) / np.sqrt(len(percentiles)),
        "knn_accuracy": right / len(queries) if knn else float("nan"),
    }
    for name, value in report.items():
        print(name, repr(float(value)))


main(*sys.argv[1:])
