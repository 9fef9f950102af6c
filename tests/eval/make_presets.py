"""Makes fixtures/presets.json: what the public formulas give in torch, as the scripts compute them, and
scikit-learn's silhouette and areas. Run with Debian's python3-torch and python3-sklearn; the results are committed.

The formulas are written anew from their description in docs/evaluation.md. One set has no ties, since the order
in which torch.topk and torch.argsort leave equal values is not specified. The other is full of them, ranked by
torch's stable sort, which leaves equal values in the order of rows.
"""
import json
import pathlib

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, silhouette_score

FOLDER = pathlib.Path(__file__).parent / "fixtures"

# Songs on a line, so that every ranking can be worked out by hand: two cliques of 3 and 2, two noise songs,
# and a clique of 4. No two are equally far from a third.
PLACES = [0.0, 1.0, 3.5, 9.0, 2.4, 30.0, 14.0, 10.5, 11.75, 20.7, 18.5]
LABELS = ["a", "a", "a", "b", "b", "lonely", "d", "d", "d", "d", "alone"]

# Songs at the same few places: copies within a clique, across cliques and of noise songs, and as far to the left
# as to the right.
TIED_PLACES = [0.0, 0, 4, 0, 4, 2, 2, 2, 2, 6, 6, 3, 3, 3, 0, 8, 8, 5, 1, 1, 5, 9, 7, 7]
TIED_LABELS = [*"cchdchbfcaadbacdgabhabee"]


def torch_ranking(places, labels, larger_first=False):
    """Relevance by rank, the song itself last and never relevant; of equal ones the smaller row first, or the
    larger; and the number of relevant pairs that share their score with another candidate."""
    if larger_first:
        return torch_ranking(places[::-1], labels[::-1])
    x = torch.tensor(places).view(-1, 1)
    scores = -((x - x.t()) ** 2)
    scores.fill_diagonal_(-float("inf"))
    names = sorted(set(labels))
    number = torch.tensor([names.index(label) for label in labels])
    truth = (number.view(-1, 1) == number.view(1, -1)).float()
    truth.fill_diagonal_(0)
    order = torch.sort(scores, dim=1, descending=True, stable=True)[1]
    shared = (scores.unsqueeze(2) == scores.unsqueeze(1)).sum(2) > 1
    return torch.gather(truth, 1, order), truth.sum(1), int(truth[shared].sum())


def re_move(found, positives):
    n = found.size(1)
    first = torch.topk(found - torch.arange(n).float() * 1e-6, 1, dim=1)[1] + 1
    precision = torch.cumsum(found, 1) / torch.arange(1, n + 1).float()
    ap = (precision * found).sum(1) / (positives + 1e-10)
    ap = ap[positives > 0]
    return {
        "mAP": "{:.3f}".format(ap.mean().item()),
        "MRR": "{:.3f}".format((1 / first.float()).mean().item()),
        "MR": "{:.3f}".format(first.float().mean().item()),
        "Top1": "{:.0f}".format(found[:, 0].sum().item()),
        "Top10": "{:.0f}".format(found[:, :10].sum().item()),
    }


def acoss(found, positives):
    firsts, aps = [], []
    for row, count in zip(found.numpy(), positives.numpy()):
        ranks = np.flatnonzero(row) + 1
        if count:
            firsts.append(ranks[0])
            aps.append(np.mean([(i + 1) / r for i, r in enumerate(ranks)]))
    firsts = np.array(firsts)
    lines = {
        "MR": "%.3g" % firsts.mean(),
        "MRR": "%.3g" % (np.sum(1 / firsts) / len(found)),
        "MDR": "%.3g" % np.median(firsts),
        "MAP": "%.3g" % np.mean(aps),
    }
    return lines | {f"Top-{k}": str((firsts <= k).sum()) for k in (1, 10, 100, 1000)}


def clews(found, positives):
    aps, firsts, percentiles = [], [], []
    for row, count in zip(found, positives):  # the song itself is one of the irrelevant items
        if count == 0:
            continue
        ranks = torch.arange(len(row)) + 1
        aps.append((torch.cumsum(row, 0) / ranks * row).sum() / row.sum())
        firsts.append((torch.argmax(row) + 1).float())
        irrelevant = torch.cumsum(1 - row, 0) / (1 - row).sum()
        percentiles.append(100 * (row * irrelevant).sum() / row.sum())
    lines = {}
    for name, values, form in ("ARP", percentiles, "%.2f"), ("MAP", aps, "%.3f"), ("MR1", firsts, "%.1f"):
        values = torch.stack(values)
        lines[name] = form % values.mean().item()
        lines[name + " c.i."] = form % (1.96 * values.std() / len(values) ** 0.5).item()
    return lines


def discogs_vinet(found, positives):
    found, positives = found[positives > 0, :-1], positives[positives > 0]
    n = found.size(1)
    first = (torch.topk(found - torch.arange(n).float() * 1e-6, 1, dim=1)[1] + 1).float()
    ap = (torch.cumsum(found, 1) / torch.arange(1, n + 1).float() * found).sum(1) / positives
    return {
        "MAP": f"{round(ap.mean().item(), 3):.3f}",
        "MRR": f"{round((1 / first).mean().item(), 3):.3f}",
        "MR1": f"{round(first.mean().item(), 2):.3f}",
        "Top1": str(int(found[:, 0].sum())),
        "Top10": str(int(found[:, :10].sum())),
    }


def coverhunter(found, positives, depth):
    aps = tens = firsts = hits = 0
    for row in found.numpy()[:, :-1]:
        ranks = np.flatnonzero(row) + 1
        near = [int(r) for r in ranks if r <= depth]
        aps += sum((i + 1) / r for i, r in enumerate(near)) / len(near) if near else 0
        tens += sum(r <= 10 for r in near)
        firsts += int(ranks[0]) if len(ranks) else 0
        hits += bool(len(ranks) and ranks[0] == 1)
    n = len(found)
    return {"mean_ap": repr(aps / n), "top10": repr(tens / n / 10), "rank1": repr(firsts / n),
            "hit_rate": repr(hits / n)}


def classes():
    """A small set in four classes, for scikit-learn."""
    source = np.random.default_rng(7)
    labels = np.repeat([0, 1, 2, 3], [9, 5, 7, 12])
    rows = (source.normal(size=(4, 6))[labels] + 0.8 * source.normal(size=(33, 6))).astype(np.float32)
    wide = rows.astype(np.float64)
    areas = []
    for c in range(4):
        scores = []
        for i, row in enumerate(wide):  # no item has a part in its own class's prototype
            members = [j for j in range(33) if labels[j] == c and j != i]
            scores.append(-np.sum((row - wide[members].mean(0)) ** 2))
        areas.append(roc_auc_score(labels == c, scores))
    return {"rows": [[float(x) for x in row] for row in rows], "labels": [int(c) for c in labels],
            "AUC": float(np.mean(areas)),
            "silhouette": {m: float(silhouette_score(wide, labels, metric=n))
                           for m, n in (("l2", "euclidean"), ("cosine", "cosine"), ("pearson", "correlation"))}}


def printed(found, positives):
    return {
        "re-move": re_move(found, positives),
        "acoss": acoss(found, positives),
        "clews": clews(found, positives),
        "discogs-vinet": discogs_vinet(found, positives),
        "coverhunter": coverhunter(found, positives, 10000),
        "coverhunter 2": coverhunter(found, positives, 2),
    }


def ranked_set(places, labels):
    found, positives, tied = torch_ranking(places, labels)
    return {"places": places, "labels": labels, "tied": tied, "printed": printed(found, positives)}


def check_ties(made):
    """The tied set holds what it is for, and every line but the widest counts hangs on the order of ties."""
    songs = list(zip(TIED_PLACES, TIED_LABELS))
    assert len(set(songs)) < len(songs) and len(set(TIED_PLACES)) < len(set(songs)), "no copies"
    sizes = [TIED_LABELS.count(label) for label in TIED_LABELS]
    assert {1, 2} < set(sizes), "no noise songs, or cliques of one size"
    found, positives, _ = torch_ranking(TIED_PLACES, TIED_LABELS, larger_first=True)
    for preset, lines in printed(found, positives).items():
        same = {name for name, value in lines.items() if made["printed"][preset][name] == value}
        assert same <= {"Top-100", "Top-1000"}, (preset, same)


def main():
    for place in PLACES:
        assert len({abs(place - other) for other in PLACES}) == len(PLACES), "a tie"
    made = {
        "by": f"torch {torch.__version__}",
        "sets": {"distinct": ranked_set(PLACES, LABELS), "tied": ranked_set(TIED_PLACES, TIED_LABELS)},
        "classes": classes(),
    }
    check_ties(made["sets"]["tied"])
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "presets.json").write_text(json.dumps(made, indent=1) + "\n")


main()
