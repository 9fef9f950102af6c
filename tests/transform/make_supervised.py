#!/usr/bin/env python3
"""Writes supervised.h: what scikit-learn makes of small labelled data, and of two views
(scikit-learn 1.2, NumPy 1.24, SciPy 1.10).

Run without arguments, then tools/format; the file is committed.
"""
import os

import numpy as np
from scipy.linalg import eigh, fractional_matrix_power
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.cross_decomposition import CCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NeighborhoodComponentsAnalysis

HERE = os.path.dirname(os.path.abspath(__file__))
out = ["/* Written by make_supervised.py. */", "#ifndef TESTS_TRANSFORM_SUPERVISED_H",
       "#define TESTS_TRANSFORM_SUPERVISED_H", "", "#include <stdint.h>", ""]


def array(name, values, ctype="double"):
    """One array; float32 values are printed so that they read back the same."""
    values = np.asarray(values)
    words = []
    for value in values.ravel():
        if ctype == "int32_t":
            words.append(str(int(value)))
            continue
        text = f"{value:.{9 if ctype == 'float' else 17}g}"
        if ctype == "float" and not any(c in text for c in ".e"):
            text += ".0"
        words.append(text + ("f" if ctype == "float" else ""))
    out.append(f"static const {ctype} {name}[{values.size}] = {{{', '.join(words)}}};")


rng = np.random.RandomState(11)
# Four classes of unequal size, correlated within.
sizes, dim = [18, 12, 9, 6], 5
labels = np.repeat(np.arange(4), sizes)
rows = rng.randn(4, dim)[labels] * 1.5 + rng.randn(len(labels), dim) @ rng.randn(dim, dim) + 7
rows = rows.astype(np.float32).astype(np.float64)
array("class_rows", rows, "float")
array("class_labels", labels, "int32_t")
residuals = rows - np.array([rows[labels == c].mean(0) for c in range(4)])[labels]

for name, priors in [("empirical", None), ("uniform", np.full(4, 0.25))]:
    lda = LinearDiscriminantAnalysis(solver="svd", priors=priors).fit(rows, labels)
    array(f"lda_{name}_projected", lda.transform(rows))
    array(f"lda_{name}_explained", lda.explained_variance_ratio_)
# Squared distances between class means under the inverse of the shrunk covariance.
lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(rows, labels)
gaps = lda.means_[:, None] - lda.means_[None]
array("lda_shrunk_distances", (gaps * (lda.coef_[:, None] - lda.coef_[None])).sum(2))
array("ledoit_wolf", [ledoit_wolf_shrinkage(residuals, assume_centered=True)])
within = residuals.T @ residuals / (len(rows) - 4)
array("whitening", fractional_matrix_power(within, -0.5))

nca = NeighborhoodComponentsAnalysis()
nca.n_iter_ = 0
centred = rows - rows.mean(0)
transformation = (rng.randn(3, dim) * 0.2).astype(np.float64)
loss, slope = nca._loss_grad_lbfgs(transformation.ravel(), centred,
                                   labels[:, None] == labels[None], -1.0 / len(rows))
array("nca_map", transformation)
array("nca_loss", [loss])
array("nca_slope", slope)

shared = rng.randn(70, 3)
first = (shared @ rng.randn(3, 5) + rng.randn(70, 5) * 0.7 - 4).astype(np.float32)
second = (shared @ rng.randn(3, 4) + rng.randn(70, 4) * 0.5 + 2).astype(np.float32)
array("view_first", first, "float")
array("view_second", second, "float")
first, second = first.astype(np.float64), second.astype(np.float64)
cca = CCA(3, tol=1e-14, max_iter=100000).fit(first, second)
scores = cca.transform(first, second)
array("cca_first", scores[0])
array("cca_second", scores[1])
# Regularised, as a generalised eigenvalue problem.
x = (first - first.mean(0)) / first.std(0)
y = (second - second.mean(0)) / second.std(0)
cross = x.T @ y / 70
cxx, cyy = x.T @ x / 70 + 0.5 * np.eye(5), y.T @ y / 70 + 0.5 * np.eye(4)
values = eigh(cross @ np.linalg.solve(cyy, cross.T), cxx, eigvals_only=True)
array("cca_regularised", np.sqrt(values[::-1][:4]))

out += ["", "#endif", ""]
with open(os.path.join(HERE, "supervised.h"), "w", encoding="ascii") as file:
    file.write("\n".join(out))
