#!/usr/bin/env python3
"""Writes opq.h: what product quantization and its optimised rotation lose on small data, derived
anew in NumPy (1.24): plain k-means from random points, and the non-parametric alternation of Ge et
al. from a random rotation.

Run without arguments, then tools/format; the file is committed.
"""
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS, CODES, SEEDS = 4, 16, 8


def nearest(points, words):
    return ((points[:, None, :] - words[None]) ** 2).sum(-1).argmin(1)


def kmeans(points, words, rounds):
    for _ in range(rounds):
        which = nearest(points, words)
        for c in range(len(words)):
            members = points[which == c]
            words[c] = members.mean(0) if len(members) else points[rng.randint(len(points))]
    return words


def code(points, words):
    parts = np.split(points, PARTS, axis=1)
    return np.hstack([w[nearest(p, w)] for p, w in zip(parts, words)])


def learn(points, words, rounds):
    parts = np.split(points, PARTS, axis=1)
    if words is None:
        words = [p[rng.choice(len(p), CODES, replace=False)] for p in parts]
    return [kmeans(p, w.copy(), rounds) for p, w in zip(parts, words)]


def loss(points, coded):
    return ((points - coded) ** 2).sum(1).mean()


def opq(rows):
    rows = rows - rows.mean(0)
    turn = np.linalg.qr(rng.randn(rows.shape[1], rows.shape[1]))[0]
    words = None
    for _ in range(60):
        words = learn(rows @ turn, words, 4 if words else 25)
        u, _, v = np.linalg.svd(rows.T @ code(rows @ turn, words))
        turn = u @ v
    words = learn(rows @ turn, words, 4)
    return loss(rows @ turn, code(rows @ turn, words))


rng = np.random.RandomState(11)
rows = rng.randn(700, 16) * np.exp(-np.arange(16) / 4) @ np.linalg.qr(rng.randn(16, 16))[0] + 3
rows = rows.astype(np.float32)
exact = rows.astype(np.float64)
plain = []
for _ in range(SEEDS):
    words = learn(exact, None, 25)
    plain.append(loss(exact, code(exact, words)))
turned = [opq(exact) for _ in range(SEEDS)]
with open(os.path.join(HERE, "opq.h"), "w") as f:
    f.write("/* Written by make_opq.py. */\n#ifndef TESTS_TRANSFORM_OPQ_H\n"
            "#define TESTS_TRANSFORM_OPQ_H\n\n")
    f.write(f"enum {{ OPQ_ROWS = {len(rows)}, OPQ_DIM = 16, OPQ_PARTS = {PARTS} }};\n\n")
    f.write("/* Least and largest loss of several random starts. */\n")
    f.write(f"static const double plain_losses[2] = {{{min(plain):.9g}, {max(plain):.9g}}};\n")
    f.write(f"static const double opq_losses[2] = {{{min(turned):.9g}, {max(turned):.9g}}};\n\n")
    f.write(f"static const float opq_rows[{rows.size}] = {{"
            + ", ".join(f"{x:#.9g}f" for x in rows.ravel()) + "};\n\n#endif\n")
