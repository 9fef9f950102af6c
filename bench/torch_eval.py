"""The formulas of re-move's evaluation in torch, the way the public script computes them: one matrix of all
scores, each row sorted in full. For tools/benchmark; written anew from docs/evaluation.md.

    torch_eval.py EMBEDDINGS.npy LABELS.csv METRIC

Prints a JSON object with the seconds between embeddings and measures; reading files and the matrix of truth, which
the public script loads ready-made, are not counted. Needs about 8 GB for 15,000 songs.
"""
import csv
import json
import os
import sys
import time

import numpy as np
import torch


def scores_of(x, metric):
    if metric == "l2":
        squares = x.pow(2).sum(1).view(-1, 1)
        return -(squares + squares.view(1, -1) - 2 * torch.mm(x, x.t()))
    if metric == "pearson":
        x = x - x.mean(1, keepdim=True)
    return (x @ x.t()).div(x.norm(dim=1)).div(x.norm(dim=1).unsqueeze(-1))


def measures_of(scores, truth):
    n = len(scores)
    scores.fill_diagonal_(-float("inf"))
    order = torch.topk(scores, n, dim=1)[1]
    found = torch.gather(truth, 1, order)
    first = torch.topk(found - torch.arange(n).float() * 1e-6, 1, dim=1)[1] + 1
    precision = torch.cumsum(found, 1) / torch.arange(1, n + 1).unsqueeze(0).float()
    ap = torch.sum(precision * (found > 0).float(), 1) / (torch.sum(truth, 1) + 1e-10)
    return {
        "mAP": ap[torch.sum(truth, 1) > 0].mean().item(),
        "MRR": (1 / first.float()).mean().item(),
        "MR": first.float().mean().item(),
        "Top1": found[:, 0].sum().item(),
        "Top10": found[:, :10].sum().item(),
    }


def main(embeddings, labels, metric):
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # Debian's torch begins with one
    x = torch.from_numpy(np.load(embeddings))
    with open(labels, newline="") as file:
        works = [row["work_id"] for row in csv.DictReader(file)]
    numbers = torch.tensor(np.unique(works, return_inverse=True)[1])
    truth = (numbers.view(-1, 1) == numbers.view(1, -1)).float()
    truth.fill_diagonal_(0)
    with torch.no_grad():
        start = time.monotonic()
        printed = measures_of(scores_of(x, metric), truth)
        seconds = time.monotonic() - start
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "seconds": seconds,
                      "printed": printed}))


main(*sys.argv[1:])
