#!/usr/bin/env python3
"""Trains the toy: the image encoder on labels first, then everything on conversations.

    tools/demo/train.py [--into DIR] [--minutes N] [--from CHECKPOINT.safetensors] [--processes N]

Processes of one thread each share a batch; they average gradients once a step, which a busy machine
disturbs less than threads that meet at every operation. Matrices are trained with Muon, the rest
with AdamW. The learning rate is warmed up, stays, and falls to nothing in the last part of the
time, in which weights are rounded as Q4_0 rounds them. DIR/state.pt is written every few minutes,
and a run that finds one goes on from it. DIR/curve.csv has the losses and what of a small held-out
set is answered word for word.

SPDX-License-Identifier: MIT
"""
import argparse
import collections
import csv
import os
import random
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file

import data
import model as m
import pictures
import tokenizer as tk

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTH = 160                                            # of a row, in tokens
MIX = {"shapes": 4, "read": 1, "two": 1, "text": 2}     # rows that a process computes at once
N_IMAGES = 13                                           # in them
PARTS = 2                                               # of a process's share of a step
WARM_UP = 100                                           # steps
FALLING = 0.3                                           # the last part of the time
MUON_RATE, ADAM_RATE, DECAY = 0.02, 3e-3, 0.01
EVAL_EVERY, SAVE_EVERY = 400, 120                       # seconds


# ---- what is trained beside the model: labels of pictures --------------------------------------------

CELL_CLASSES = [1 + len(pictures.SHAPES), 1 + len(pictures.COLOUR_NAMES), 1 + len(pictures.SIZES)]
WHOLE_CLASSES = ([len(pictures.BACKGROUND_NAMES), 1 + len(pictures.COLOUR_NAMES)] +
                 [1 + len(pictures.LETTERS)] * pictures.TEXT_SLOTS)
PATCH_CLASSES = [1 + len(pictures.LETTERS), 1 + pictures.TEXT_SLOTS]


def label_heads(c, seed=2):
    g = torch.Generator().manual_seed(seed)
    per_cell, whole = c.v_width, c.soft_tokens * c.v_width
    return {"aux.place.weight": torch.zeros(c.soft_tokens, c.v_width),
            "aux.patch.weight": torch.randn(sum(PATCH_CLASSES), per_cell, generator=g) / per_cell ** 0.5,
            "aux.cell.weight": torch.randn(sum(CELL_CLASSES), per_cell, generator=g) / per_cell ** 0.5,
            "aux.whole.weight": torch.randn(sum(WHOLE_CLASSES), whole, generator=g) / whole ** 0.5}


def patch_loss(w, patches, labels):
    """patches [N, 81, v_width], labels [N, 162]; most patches show no letter."""
    loss, gold = 0, labels.reshape(labels.shape[0], 2, -1)
    out = F.linear(patches.float(), w["aux.patch.weight"]).split(PATCH_CLASSES, -1)
    for i, x in enumerate(out):
        weight = 0.2 + 2 * (gold[:, i] > 0)
        loss = loss + (F.cross_entropy(x.transpose(1, 2), gold[:, i], reduction="none") * weight).mean()
    return loss


def label_loss(w, pooled, patches, labels):
    """pooled [N, 9, v_width], patches [N, 81, v_width], labels [N, 33 + 162] -> the loss, and the share
    of pictures without any error in the first 33."""
    n = pooled.shape[0]
    cell = F.linear(pooled.float(), w["aux.cell.weight"]).split(CELL_CLASSES, -1)
    whole = F.linear(pooled.float().reshape(n, -1), w["aux.whole.weight"]).split(WHOLE_CLASSES, -1)
    loss, right = 4 * patch_loss(w, patches, labels[:, 33:]), torch.ones(n, dtype=torch.bool)
    place = F.linear(pooled.float(), w["aux.place.weight"])  # where a soft token is
    loss = loss + F.cross_entropy(place.reshape(-1, 9), torch.arange(9).repeat(n))
    for i, x in enumerate(cell):
        gold = labels[:, 9 * i:9 * i + 9]
        weight = 1 + 2 * (gold > 0)
        loss = loss + (F.cross_entropy(x.transpose(1, 2), gold, reduction="none") * weight).mean()
        right &= (x.argmax(-1) == gold).all(-1)
    for i, x in enumerate(whole):
        gold = labels[:, 27 + i]
        loss = loss + F.cross_entropy(x, gold) * (0.3 if i == 0 else 1)
        right &= x.argmax(-1) == gold
    return loss, right.float().mean()


# ---- optimizers -----------------------------------------------------------------------------------

def is_muon(name, p):
    return p.dim() == 2 and not any(x in name for x in ("embed", "aux", "position"))


def orthogonal(x):
    """Newton-Schulz in five steps: x [K, rows, cols] with its singular values moved to about 1."""
    x = x.to(m.FAST)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    for _ in range(5):
        a = x @ x.transpose(1, 2)
        b = -4.7750 * a + 2.0315 * (a @ a)
        x = 3.4445 * x + b @ x
    return (x.transpose(1, 2) if tall else x).float()


class Optimizer:
    """Muon for matrices (each process orthogonalizes a part of them), AdamW for the rest."""

    def __init__(self, params, rank, size):
        self.params, self.rank, self.size = params, rank, size
        self.muon = {n for n, p in params.items() if is_muon(n, p)}
        self.state = {n: torch.zeros_like(p) for n, p in params.items()}
        self.square = {n: torch.zeros_like(p) for n, p in params.items() if n not in self.muon}
        self.steps = 0
        groups = collections.defaultdict(list)
        for n in sorted(self.muon):
            groups[tuple(params[n].shape)].append(n)
        self.groups = list(groups.values())

    @torch.no_grad()
    def step(self, rate):
        """Gradients are those of p.grad, equal in all processes."""
        self.steps += 1
        updates = {}
        for n, p in self.params.items():
            if n not in self.muon:
                self._adam(n, p, rate * ADAM_RATE)
        for names in self.groups:
            names = [n for n in names if self.params[n].grad is not None]
            updates.update(dict.fromkeys(names))
            mine = names[self.rank::self.size]
            for n in names:
                self.state[n].mul_(0.95).add_(self.params[n].grad)
            if not mine:
                continue
            x = orthogonal(torch.stack([self.params[n].grad + 0.95 * self.state[n] for n in mine]))
            scale = max(1, x.shape[1] / x.shape[2]) ** 0.5
            updates.update(zip(mine, x * scale))
        flat = torch.cat([(torch.zeros_like(self.params[n]) if u is None else u).reshape(-1)
                          for n, u in updates.items()])
        if self.size > 1:
            dist.all_reduce(flat)
        at = 0
        for n in updates:
            p = self.params[n]
            p.mul_(1 - rate * MUON_RATE * DECAY).sub_(flat[at:at + \
                   p.numel()].view_as(p), alpha=rate * MUON_RATE)
            at += p.numel()

    def _adam(self, n, p, rate):
        if p.grad is None:
            return
        self.state[n].lerp_(p.grad, 0.1)
        self.square[n].lerp_(p.grad.square(), 0.05)
        mean = self.state[n] / (1 - 0.9 ** self.steps)
        square = self.square[n] / (1 - 0.95 ** self.steps)
        p.sub_(mean / (square.sqrt() + 1e-8), alpha=rate)


# ---- one step -------------------------------------------------------------------------------------

class Trainer:
    def __init__(self, args, rank, size):
        self.args, self.rank, self.size = args, rank, size
        self.tokens = tk.Tokenizer.read(os.path.join(HERE, "pieces.txt"))
        self.c = m.Config(n_vocab=len(self.tokens))
        params = {**m.initial(self.c), **label_heads(self.c)}
        if args.start:
            heads = os.path.join(os.path.dirname(args.start), "labels.safetensors")
            for path in [args.start] + [heads] * os.path.exists(heads):
                params.update({n: t.float() for n, t in load_file(path).items()})
        self.w = {n: p.requires_grad_() for n, p in params.items()}
        self.opt = Optimizer(self.w, rank, size)
        self.step, self.seconds, self.begun = 0, 0.0, time.time()
        self.rng = random.Random(time.time_ns() + rank)
        self.tower = torch.compile(m.tower, dynamic=False) if args.compile else m.tower
        self.text = torch.compile(m.text, dynamic=False) if args.compile else m.text
        self.load()
        if rank == 0:
            self.held_out = data.held_out(self.tokens, LENGTH, 48, seed=77)

    # -- state

    def path(self, name):
        return os.path.join(self.args.into, name)

    def load(self):
        if not os.path.exists(self.path("state.pt")):
            return
        s = torch.load(self.path("state.pt"))
        with torch.no_grad():
            for n, p in s["params"].items():
                self.w[n].copy_(p)
        self.opt.state.update(s["state"])
        self.opt.square.update(s["square"])
        self.opt.steps = s["opt_steps"]
        self.step, self.seconds = s["step"], s["seconds"]

    def save(self):
        s = {"params": {n: p.detach() for n, p in self.w.items()}, "state": self.opt.state,
             "square": self.opt.square,
             "opt_steps": self.opt.steps, "step": self.step, "seconds": self.elapsed()}
        torch.save(s, self.path("state.tmp"))
        os.replace(self.path("state.tmp"), self.path("state.pt"))

    def elapsed(self):
        return self.seconds + time.time() - self.begun

    def minutes(self):
        """In all; DIR/minutes, where it exists, takes the place of --minutes while a run goes on."""
        try:
            with open(self.path("minutes"), encoding="utf-8") as f:
                return float(f.read())
        except (OSError, ValueError):
            return self.args.minutes

    def phase(self):
        """(name, learning rate's factor) at this time; all processes follow the first one's clock."""
        now = torch.tensor([self.elapsed() / 60, self.minutes()])
        if self.size > 1:
            dist.broadcast(now, 0)
        (t, end), tower = now.tolist(), self.args.tower_minutes
        warm = min(1, (self.step + 1) / WARM_UP)
        pictures.set_level(min(1, 0.1 + 0.5 * t / tower if t <
                           tower else 0.6 + 0.4 * (t - tower) / (end * 0.4)))
        if t < tower:
            return "tower", warm
        if t >= end:
            return "end", 0
        falling = (end - t) / (end * FALLING)
        if falling >= 1:
            return "all", warm
        return "qat", falling

    # -- computing

    def tower_step(self):
        images, labels = data.picture_batch(self.rng, N_IMAGES)
        with m.autocast():
            pooled, patches = self.tower(self.w, self.c, m.patches(torch.from_numpy(images), self.c))
        loss, right = label_loss(self.w, pooled, patches, torch.from_numpy(labels))
        loss.backward()
        return loss.item(), right.item()

    def full_step(self, qat):
        ids, doc, image, target, places, images, labels, rows = data.batch(self.rng, self.tokens, LENGTH, MIX)
        ids, doc, image, places, images = map(torch.from_numpy, (ids, doc, image, places, images))
        at = torch.from_numpy(np.flatnonzero(target.reshape(-1)))
        weight = torch.from_numpy(data.weights(rows, LENGTH).reshape(-1))[at + 1]
        w = m.quantized(self.w, True) if qat else self.w
        with m.autocast():
            pooled, patches = self.tower(w, self.c, m.patches(images, self.c))
            x = m.embed(w, self.c, ids, m.project(w, self.c, pooled), places)
            x = self.text(w, self.c, x, *m.masks(doc, image, self.c))
            out = m.logits(w, x.reshape(-1, self.c.width)[at])
        loss = (F.cross_entropy(out, ids.reshape(-1)[at + 1], reduction="none") * weight).sum() / weight.sum()
        helped, right = label_loss(w, pooled, patches, torch.from_numpy(labels))
        (loss + self.args.aux * helped).backward()
        return loss.item(), right.item()

    def share_gradients(self):
        names = [n for n, p in self.w.items() if p.grad is not None]
        flat = torch.cat([self.w[n].grad.reshape(-1) for n in names])
        if self.size > 1:
            dist.all_reduce(flat)
            flat /= self.size
        norm = flat.norm()
        if norm > 5:
            flat *= 5 / norm
        at = 0
        for n in names:
            p = self.w[n]
            p.grad.copy_(flat[at:at + p.numel()].view_as(p))
            at += p.numel()

    def train_step(self):
        phase, rate = self.phase()
        if phase == "end":
            return phase, 0, 0
        parts = [self.tower_step() if phase == "tower" else self.full_step(phase == "qat")
                                 for _ in range(PARTS)]
        loss, right = np.mean(parts, axis=0)
        self.share_gradients()
        self.opt.step(rate * self.args.rate)
        for p in self.w.values():
            p.grad = None
        self.step += 1
        return phase, loss, right

    # -- telling

    def tell(self, phase, loss, right):
        exact = {}
        if phase != "tower":
            w = {n: p.detach() for n, p in self.w.items()}
            exact = data.exact_match(m.quantized(w) if phase in ("qat", "end") else w, self.c, self.held_out, True)
        total = sum(a for a, _ in exact.values()) / max(1, sum(b for _, b in exact.values()))
        with open(self.path("curve.csv"), "a", newline="", encoding="utf-8") as f:
            kinds = " ".join(f"{k.replace(' ', '_')}={a}/{b}" for k, (a, b) in sorted(exact.items()))
            csv.writer(f).writerow([self.step, int(self.elapsed()), phase, f"{loss:.4f}", f"{right:.3f}",
                                    f"{total:.4f}", kinds])

    def warm_up(self):
        """Compiles both parts, the first process before the others, which then find what it made."""
        for rank in range(min(2, self.size)):
            if rank == min(1, self.rank):
                self.full_step(False)
            if self.size > 1:
                dist.barrier()
        for p in self.w.values():
            p.grad = None

    def run(self):
        self.warm_up()
        self.begun = time.time()
        told = saved = time.time()
        losses, rights, last = [], [], None
        while True:
            phase, loss, right = self.train_step()
            if phase == "end":
                break
            if phase != last:
                losses, rights, last = [], [], phase
            losses, rights = losses[-49:] + [loss], rights[-49:] + [right]
            if self.rank == 0 and time.time() - told > EVAL_EVERY:
                self.tell(phase, np.mean(losses), np.mean(rights))
                told = time.time()
            if self.rank == 0 and time.time() - saved > SAVE_EVERY:
                self.save()
                saved = time.time()
        if self.rank == 0:
            self.tell("end", np.mean(losses or [0]), np.mean(rights or [0]))
            self.save()


def work(rank, args):
    torch.set_num_threads(1)
    if args.processes > 1:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        dist.init_process_group("gloo", f"file://{args.meeting}", rank=rank, world_size=args.processes)
    if rank > 0:
        time.sleep(1)
    Trainer(args, rank, args.processes).run()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--into", default="build/demo", help="the folder of state.pt and curve.csv (build/demo)")
    p.add_argument("--minutes", type=float, default=100,
                   help="of training in all, earlier runs counted (100)")
    p.add_argument("--tower-minutes", type=float, default=6, help="of these for the image encoder alone (6)")
    p.add_argument("--from", dest="start", help="weights to begin with, as export.py writes them")
    p.add_argument("--processes", type=int, default=os.cpu_count(), help="one thread each (all processors)")
    p.add_argument("--aux", type=float, default=0.1, help="the weight of the pictures' labels (0.1)")
    p.add_argument("--rate", type=float, default=1, help="factor of the learning rates (1)")
    p.add_argument("--no-compile", dest="compile", action="store_false", help="start at once, and be slower")
    args = p.parse_args()
    os.makedirs(args.into, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    if args.processes == 1:
        work(0, args)
    else:
        args.meeting = os.path.abspath(os.path.join(args.into, f"meeting-{os.getpid()}"))
        torch.multiprocessing.spawn(work, (args,), args.processes)


if __name__ == "__main__":
    main()
