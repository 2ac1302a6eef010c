"""SimCLR with a memory bank: which volume is an altered copy of which?

Feature Modeling for Anomaly Detection in Neuroimaging Data (D. Kovacevic), section 2.1. One view is altered, the other
is not; what a subject gave before is never a negative for the same subject.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.networks.contrastive_cnn import Backbone, ProjectionHead, follow


def nt_xent(
    queries: Tensor, keys: Tensor, subjects: Tensor, bank: Tensor, bank_subjects: Tensor, *, temperature: float
) -> Tensor:
    """Mean over i of -log(exp(q_i k_i / tau) / (exp(q_i k_i / tau) + sum_n exp(q_i n / tau))).

    queries, keys : (B, D) unit vectors of altered and unaltered views, row by row of the same volume
    bank : (M, D) earlier keys; the n are bank entries and keys of other subjects. subjects : (B,), (M,) numbers, -1 =
    an empty place of the bank
    """
    others, names = torch.cat([keys, bank]), torch.cat([subjects, bank_subjects])
    logits = queries @ others.T / temperature
    forbidden = (names[None] == subjects[:, None]) | (names[None] < 0)
    positive = (queries * keys).sum(1, keepdim=True) / temperature
    logits = torch.cat([positive, logits.masked_fill(forbidden, -torch.inf)], dim=1)
    return functional.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=queries.device))


class MemoryBank(nn.Module):
    """The latest keys and whose they are; a full bank forgets the oldest. Kept in checkpoints as buffers."""

    def __init__(self, size: int, dimensions: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dimensions))
        self.register_buffer("subjects", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def add(self, keys: Tensor, subjects: Tensor) -> None:
        """Remember (B, D) keys of subjects (B,)."""
        at = (int(self.place) + torch.arange(len(keys))) % len(self.keys)
        self.keys[at], self.subjects[at] = keys.to(self.keys), subjects.to(self.subjects)
        self.place.fill_((int(self.place) + len(keys)) % len(self.keys))


class ContrastiveLearner(nn.Module):
    """Backbone and head that learn, their slow copy that gives the keys, and the bank.

    The slow copy follows with momentum 0.99 after every step, so that old keys stay comparable with new ones.
    """

    def __init__(self, backbone: Backbone, *, dimensions: int = 64, bank: int = 512, momentum: float = 0.99):
        super().__init__()
        self.backbone, self.head = backbone, ProjectionHead(backbone.widths[-1], dimensions)
        self.slow = nn.ModuleList([copy.deepcopy(self.backbone), copy.deepcopy(self.head)]).requires_grad_(False)
        self.bank, self.momentum = MemoryBank(bank, dimensions), momentum

    def loss(self, altered: Tensor, unaltered: Tensor, subjects: Tensor, *, temperature: float) -> Tensor:
        """NT-Xent of a batch (B, 1, I, J, K); afterwards the bank knows its keys. Call once a training step."""
        follow(self.slow, nn.ModuleList([self.backbone, self.head]), self.momentum)
        queries = self.head(self.backbone(altered)[-1]).float()
        with torch.no_grad():
            keys = self.slow[1](self.slow[0](unaltered)[-1]).float()
        value = nt_xent(queries, keys, subjects, self.bank.keys, self.bank.subjects, temperature=temperature)
        self.bank.add(keys, subjects)
        return value
