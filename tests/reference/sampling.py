"""Who may be drawn, and how probably: transformers' warpers against Peridot's integer weights.

Order on both sides: temperature, top-k, top-p, min-p. Peridot's weights are exp((logit - highest) /
temperature) in units of 2^-31, from an exponent that is rounded twice to 24 bits and 2^-x by a
polynomial. So a weight that is exp(-x) of the best one is off by up to x 2^-22 + 2^-24 of itself
and 5 units (tests/unit/test_draw.c); the bound for a row follows, and no probability may be off by
more. Up to some thousands of candidates that is less than 1e-6. Over a whole vocabulary, without
top-k, half a unit is cut off of each weight: where a quarter of a million improbable candidates
stand against one, these are 6e-5 of all together.

Sets must be equal but for these, which the numbers must show:

    edge     the sum in front of the candidate is within SUM_ERROR of top_p, or its probability
             within that of min_p: float32 sums there, integers here
    tie      candidates equal to the last one within top-k: transformers keeps all of them, Peridot
             the lowest ids, so that k is never exceeded
    tail     candidates below 2^-31 of the best one have no weight here, and are never drawn

SPDX-License-Identifier: MIT
"""
import itertools
import os

import numpy as np
import torch
from transformers.generation.logits_process import (LogitsProcessorList, MinPLogitsWarper,
                                                    TemperatureLogitsWarper, TopKLogitsWarper,
                                                    TopPLogitsWarper)

from common import tool

N_VOCAB, N_ROWS, N_SETTINGS = 4000, 4, 120
WHOLE = 255999  # ids below the image markers, which Peridot never draws
WHOLE_SETTINGS = [(t, k, p, 0.0) for t in (0.7, 1.5, 2.5) for k, p in [(0, 0), (0, 0.95), (64, 0.95),
                                                                      (256, 0)]]
SUM_ERROR = 2e-6  # float32 sums of up to 4000 terms, and the weights' own error
TEMPS, TOP_KS, TOP_PS, MIN_PS = [0.2, 0.7, 1.0, 2.5], [0, 1, 20, 64, 300], [0, 0.1, 0.5, 0.95, 0.999], \
    [0, 0.01, 0.1, 0.5]


# ---- logits -------------------------------------------------------------------------------------


def make_logits(rng):
    """name: [N_ROWS, N_VOCAB] float32"""
    shape = (N_ROWS, N_VOCAB)
    normal = rng.normal(0, 1, shape)
    return {
        "as a model's": normal * 2.5 - 4 + 9 * (rng.random(shape) < 0.002) * rng.random(shape),
        "flat": normal * 0.05,
        "peaked": normal * 2 + 30 * (np.arange(N_VOCAB) == 1234),
        "wide": normal * 12,
        "many ties": np.round(normal * 2) / 2,
        "all equal": np.zeros(shape),
        "two leaders": normal + 15 * np.isin(np.arange(N_VOCAB), [7, 3999]),
        "Zipf": -np.log1p(rng.permuted(np.tile(np.arange(N_VOCAB), (N_ROWS, 1)), axis=1)),
        "large": normal * 40 + 1000,
        "whole vocabulary, one far above":
            rng.normal(0, 2, (1, WHOLE)) + 30 * (np.arange(WHOLE) == 1234),
    }


# ---- both sides ---------------------------------------------------------------------------------


def reference_probabilities(logits, temp, top_k, top_p, min_p):
    """[rows, vocabulary] float64; float32 until the filters are through, as transformers runs."""
    steps = LogitsProcessorList([TemperatureLogitsWarper(temp)])
    if top_k:
        steps.append(TopKLogitsWarper(top_k))
    if 0 < top_p < 1:
        steps.append(TopPLogitsWarper(top_p))
    if min_p:
        steps.append(MinPLogitsWarper(min_p))
    scores = torch.tensor(logits)
    kept = steps(None, scores).isfinite().numpy()
    weights = exact_weights(logits, temp) * kept
    return weights / weights.sum(1, keepdims=True), kept


def exact_weights(logits, temp):
    """exp((logit - highest) / temp) in float64"""
    wide = logits.astype(np.float64)
    return np.exp((wide - wide.max(1, keepdims=True)) / np.float64(np.float32(temp)))


def our_weights(work, logits, settings):
    """For each of settings [rows, vocabulary] uint32, and who is kept."""
    path, out = os.path.join(work, "logits"), os.path.join(work, "weights")
    logits.tofile(path)
    tool("weights", path, logits.shape[1], out, lines=[" ".join(map(str, s)) for s in settings])
    data, at = np.fromfile(out, np.uint32), 0
    for _ in settings:
        weights, kept = np.zeros(logits.shape), np.zeros(logits.shape, bool)
        for row in range(len(logits)):
            n = int(data[at])
            pairs = data[at + 1:at + 1 + 2 * n].reshape(n, 2)
            at += 1 + 2 * n
            weights[row, pairs[:, 0]] = pairs[:, 1]
            kept[row, pairs[:, 0]] = True
        yield weights, kept


# ---- comparing ----------------------------------------------------------------------------------


def after_top_k(row, weights, top_k):
    """Probabilities after top-k by Peridot's rule, and by transformers', which keeps ties."""
    mask = np.zeros(len(row), bool)
    mask[np.lexsort((np.arange(len(row)), -row))[:top_k or len(row)]] = True
    ties = row >= row[mask].min()
    return [weights * m / (weights * m).sum() for m in (mask, ties)]


def is_top_p_edge(row, p, i, top_p):
    """Whether the cut of top-p goes through candidate i, or those that are equal to it."""
    before, equal = p[row > row[i]].sum(), (p * (row == row[i])).sum()
    if (row == row[i]).sum() > 1:
        return before - SUM_ERROR <= top_p <= before + equal + SUM_ERROR
    return min(abs(before - top_p), abs(before + equal - top_p)) <= SUM_ERROR


def explain(row, weights, settings, i):
    """Why candidate i is on one side alone: "edge", "tie", "tail", or None."""
    _, top_k, top_p, min_p = settings
    if weights[i] < 2.0**-30.9:
        return "tail"
    if top_k and (row == row[i]).sum() > 1 and row[i] == np.sort(row)[-min(top_k, len(row))]:
        return "tie"
    both = after_top_k(row, weights, top_k)
    if 0 < top_p < 1:
        if any(is_top_p_edge(row, p, i, top_p) for p in both):
            return "tie" if (row == row[i]).sum() > 1 else "edge"
        before = sorted(p[row > row[i]].sum() for p in both)
        if before[0] < top_p <= before[1]:  # ties in top-k share the sum that top-p is of
            return "tie"
    if min_p and abs(weights[i] - min_p) <= SUM_ERROR:
        return "edge"
    return None


class Counts:
    """What came out of many rows."""

    def __init__(self):
        self.rows = self.equal = 0
        self.reasons = {"edge": 0, "tie": 0, "tail": 0}
        self.unexplained = []
        self.worst = self.worst_of_bound = 0.0

    def add_sets(self, row, weights, settings, ours, theirs):
        """Candidates that one side alone keeps; true when there are none but the tail."""
        reasons = {explain(row, weights, settings, i) for i in np.flatnonzero(ours != theirs)}
        for reason in reasons:
            if reason is None:
                self.unexplained.append(settings)
            else:
                self.reasons[reason] += 1
        self.rows += 1
        self.equal += not reasons
        return not reasons - {"tail"}

    def add_probabilities(self, row, temp, ours, theirs):
        """The largest difference, and as a part of what the arithmetic allows."""
        difference = np.abs(ours - theirs)
        x = (row.max() - row.astype(np.float64)) / temp
        bound = theirs * (x * 2.0**-22 + 2.0**-24) + 5 * 2.0**-31
        bound = bound + theirs * bound.sum()  # of the sum
        self.worst = max(self.worst, difference.max())
        self.worst_of_bound = max(self.worst_of_bound, (difference / bound).max())


def compare_shape(logits, settings, work, counts):
    """Every setting on the rows of one shape."""
    for each, (weights, kept) in zip(settings, our_weights(work, logits, settings)):
        theirs, their_kept = reference_probabilities(logits, *each)
        exact = exact_weights(logits, each[0])
        ours = weights / weights.sum(1, keepdims=True)
        for i, row in enumerate(logits):
            if counts.add_sets(row, exact[i], each, kept[i] & (weights[i] > 0), their_kept[i]):
                counts.add_probabilities(row, each[0], ours[i], theirs[i])


def compare_sampling(report, work):
    """Some of all combinations of settings on all shapes."""
    rng = np.random.default_rng(5)
    settings = list(itertools.product(TEMPS, TOP_KS, TOP_PS, MIN_PS))
    rng.shuffle(settings)
    settings = [(float(t), int(k), float(p), float(m)) for t, k, p, m in settings[:N_SETTINGS]]
    for name, logits in make_logits(rng).items():
        counts = Counts()
        whole = logits.shape[1] == WHOLE
        compare_shape(logits.astype(np.float32), WHOLE_SETTINGS if whole else settings, work, counts)
        limit = WHOLE * 2.0**-32 if whole else 1e-6  # half a unit of each candidate is cut off
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.reasons.items() if n)
        ok = not counts.unexplained and counts.worst <= limit and counts.worst_of_bound <= 1
        report.check(ok, f"sampling, {name}",
                     f"{counts.equal} of {counts.rows} sets equal{', else ' + reasons if reasons else ''}; "
                     f"probabilities {counts.worst:.1e} off at most, {counts.worst_of_bound:.2f} of the bound"
                     + (f"; unexplained {counts.unexplained[:3]}" if counts.unexplained else ""))
