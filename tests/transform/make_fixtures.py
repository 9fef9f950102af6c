#!/usr/bin/env python3
"""Writes fixtures.h: what scikit-learn makes of small data (scikit-learn 1.2, NumPy 1.24).

Run without arguments, then tools/format; the file is committed.
"""
import os

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import johnson_lindenstrauss_min_dim

HERE = os.path.dirname(os.path.abspath(__file__))
out = ["/* Written by make_fixtures.py. */", "#ifndef TESTS_TRANSFORM_FIXTURES_H",
       "#define TESTS_TRANSFORM_FIXTURES_H", ""]


def array(name, values, ctype="double"):
    """One array; float32 values are printed so that they read back the same."""
    values = np.asarray(values)
    suffix, digits = ("f", 9) if ctype == "float" else ("", 17)
    words = []
    for value in values.ravel():
        text = f"{value:.{digits}g}"
        if suffix and not any(c in text for c in ".e"):
            text += ".0"
        words.append(text + suffix)
    out.append(f"static const {ctype} {name}[{values.size}] = {{{', '.join(words)}}};")


def pca(name, data, k):
    """Components, eigenvalues and projections by a full singular value decomposition."""
    plain = PCA(k, svd_solver="full").fit(data)
    white = PCA(k, svd_solver="full", whiten=True).fit(data)
    array(f"{name}_rows", data, "float")
    array(f"{name}_explained_variance", plain.explained_variance_)
    array(f"{name}_explained_ratio", plain.explained_variance_ratio_)
    array(f"{name}_projected", plain.transform(data))
    array(f"{name}_whitened", white.transform(data))


rng = np.random.RandomState(7)
# Far from the origin, with a falling spectrum.
tall = rng.randn(60, 8) * np.exp(-np.arange(8) / 3) @ np.linalg.qr(rng.randn(8, 8))[0] + 50
tall = tall.astype(np.float32).astype(np.float64)
wide = (rng.randn(12, 20) * np.exp(-np.arange(20) / 6)).astype(np.float32).astype(np.float64)
pca("tall", tall, 5)
pca("wide", wide, 4)
array("tall_standardised", StandardScaler().fit_transform(tall))

sources = np.c_[rng.laplace(size=400), rng.uniform(-1, 1, 400), np.sin(np.arange(400) / 5) ** 3]
mixed = (sources @ rng.randn(3, 5) + 2).astype(np.float32).astype(np.float64)
ica = FastICA(3, whiten="unit-variance", random_state=3, tol=1e-10, max_iter=5000)
array("mixed_rows", mixed, "float")
array("mixed_sources", ica.fit_transform(mixed))

array("lemma_rows", [100, 1000, 83904])
array("lemma_distortions", [0.5, 0.3, 0.4])
array("lemma_dims", [johnson_lindenstrauss_min_dim(n, eps=e)
                     for n, e in [(100, 0.5), (1000, 0.3), (83904, 0.4)]])
out += ["", "#endif", ""]
with open(os.path.join(HERE, "fixtures.h"), "w", encoding="ascii") as file:
    file.write("\n".join(out))
