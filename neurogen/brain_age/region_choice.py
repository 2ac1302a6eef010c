"""Which region of its tissue a voxel belongs to, from the probabilities of all regions.

The likeliest region of every voxel is a poor answer where a small region lies between large ones: it can be unlikely
everywhere and still be there, and its volume is lost to its neighbors. So each region is given as many voxels of its
tissue as its probabilities sum up to, those that suit it best: a bias b_r is added to the logits l_r(x) such that

    sum_x softmax_r(s (l(x) + b)) = sum_x softmax_r(l(x)),  s sharp,

by Sinkhorn's iteration (M. Cuturi 2013, arXiv:1306.0895: transport with few bits of entropy), and l + b decides.
"""

import numpy as np
from scipy.special import softmax

from neurogen.brain_age.tissues import TISSUE_OF, TISSUES

FEWEST_VOXELS = 8
"""Of 0.8 mm, for a region that is kept although it is nowhere the likeliest."""
SHARPNESS, ROUNDS = 5.0, 25
"""On kept-apart atlas weeks, 2 and 10 were as good within 0.003 Dice."""
MOST_VOXELS = 40_000  # of a tissue that are looked at for the biases
_LEAST = 1e-9


def best_of_each_tissue(logits: np.ndarray) -> np.ndarray:
    """(T, I, J, K) uint8: the likeliest region of each tissue. logits: (L, I, J, K) by label."""
    found = np.zeros((len(TISSUES), *logits.shape[1:]), np.uint8)
    for tissue in range(1, len(TISSUES)):
        members = np.flatnonzero(TISSUE_OF == tissue)
        found[tissue] = members[logits[members].argmax(0)]
    return found


def fair_regions(logits: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """(T, I, J, K) uint8: the region that a voxel has if it is of a tissue; volumes as the probabilities say.

    logits: (L, I, J, K) by label; tissue: (I, J, K), where the volumes are counted.
    """
    fair = logits.astype(np.float32, copy=True)
    for number in range(1, len(TISSUES)):
        members, places = np.flatnonzero(TISSUE_OF == number), np.flatnonzero(tissue == number)
        if len(members) > 1 and len(places):
            some = places[:: len(places) // MOST_VOXELS + 1]
            bias = volume_bias(logits.reshape(len(logits), -1)[members][:, some])
            fair[members] += bias[:, None, None, None]
    return keep_all(best_of_each_tissue(fair), logits, tissue)


def volume_bias(logits: np.ndarray) -> np.ndarray:
    """(R,) what to add to the logits (R, N) of regions so that the largest wins as often as its mean probability."""
    wanted = softmax(logits, axis=0).mean(axis=1)
    bias = np.zeros(len(logits), np.float32)
    for _ in range(ROUNDS):
        got = softmax(SHARPNESS * (logits + bias[:, None]), axis=0).mean(axis=1)
        bias += np.log((wanted + _LEAST) / (got + _LEAST)) / SHARPNESS
    return bias


def keep_all(best: np.ndarray, logits: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """`best` with those regions that win nowhere given the voxels of their tissue where they are likeliest.

    As many as their probabilities sum up to. best: (T, I, J, K) uint8; logits: (L, I, J, K); tissue: (I, J, K).
    """
    best = best.copy()
    for number in range(1, len(TISSUES)):
        places = np.flatnonzero(tissue == number)
        members = np.flatnonzero(TISSUE_OF == number)
        lost = np.setdiff1d(members, best[number].ravel()[places])
        if len(lost) and len(places):
            share = softmax(logits.reshape(len(logits), -1)[members][:, places], axis=0)
            for label in lost:
                mine = share[members == label][0]
                count = min(max(round(float(mine.sum())), FEWEST_VOXELS), len(places))
                best[number].ravel()[places[np.argsort(-mine)[:count]]] = label
    return best
