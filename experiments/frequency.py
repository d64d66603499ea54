#!/usr/bin/env python3
"""What would find the frequent ids that alignment by graph gets wrong: words of one company, which are rare in all other text?

    experiments/frequency.py SOURCE … --plain DIR --work DIR [--threads N]

Aligns the ciphers of refine.py (the same files: what that has made in the same DIR is not made again), and goes on from the tool's map with a
copy in numpy of its self-learning (src/align/graph/self_learning.rs: features of anchors around an id, flattened, CSLS, assignment), four rounds
on twice as many plaintext types as ids. What differs is what a difference of two frequencies costs, and whether the rest of the sentence is
a neighbour too. Prints the share of the tokens that is right at the start and after each. Then, of the ten most frequent ids that the tool has wrong,
the rank of the true character by its neighbours alone (0 is the nearest) where all other ids are known: no method that looks at neighbours
is likely to do better. Needs `cipherpet` on the PATH, numpy and scipy. What came out stands in README.md.
"""

import collections

import numpy as np
import scipy.sparse as sparse
from refine import aligned, arguments, files, lines, told_of
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import svds

LEAST_COUNT, ANCHORS, ROUNDS, CANDIDATES, NEIGHBOURS, DIRECTIONS, SMOOTH = 5, 1500, 4, 20, 10, 50, 2.0
# Neighbours at distances 3 to FAR are the rest of the sentence.
FAR = 12


def normalised(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


class Side:
    """Types by falling count, and their neighbours at -2, -1, +1, +2 and further away; the boundary is the last column."""

    def __init__(self, sentences, most=None):
        counts = collections.Counter(token for sentence in sentences for token in sentence)
        self.types = [token for token, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])) if count >= LEAST_COUNT][:most]
        self.number = {token: number for number, token in enumerate(self.types)}
        self.counts = np.array([counts[token] for token in self.types], float)
        self.logarithms = np.log(self.counts / self.counts.sum())
        n = len(self.types)
        text = [n]
        for sentence in sentences:
            text += [self.number.get(token, -1) for token in sentence] + [n]
        text = np.array(text)
        pairs = [self.pairs(text, distance) for distance in range(1, FAR + 1)]
        (left1, right1), (left2, right2) = pairs[:2]
        far = [np.concatenate(side) for side in zip(*pairs[2:])]
        both = np.concatenate(far), np.concatenate(far[::-1])
        offsets = [(right2, left2), (right1, left1), (left1, right1), (left2, right2), both]
        self.neighbours = [sparse.coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), (n + 1, n + 1)).tocsr() for rows, columns in offsets]

    @staticmethod
    def pairs(text, distance):
        """Types at a distance within one sentence; its boundaries are neighbours up to a distance of 2."""
        n = text.max()
        left, right = text[:-distance], text[distance:]
        wanted = (left >= 0) & (right >= 0)
        for between in range(1, distance):
            wanted &= text[between : between + len(left)] != n
        if distance > 2:
            wanted &= (left != n) & (right != n)
        return left[wanted], right[wanted]

    def features(self, anchors, weights):
        n, columns = len(self.types), [*anchors, len(self.types)]
        parts = []
        for neighbours, weight in zip(self.neighbours, weights):
            rows = neighbours[:n]
            share = np.asarray(rows.sum(0)).ravel()[columns] / max(rows.sum(), 1)
            expected = np.outer(np.asarray(rows.sum(1)).ravel(), share)
            parts.append(weight * np.log((rows[:, columns].toarray() + SMOOTH) / (expected + SMOOTH)))
        features = normalised(np.concatenate(parts, axis=1).astype(np.float32))
        return normalised(features - features.mean(0))


def flattened(*sides):
    _, strengths, directions = svds(np.concatenate(sides), k=DIRECTIONS)
    shares = 1 - (strengths / strengths.min()) ** -0.5
    return [normalised(side - (side @ directions.T * shares) @ directions) for side in sides]


class World:
    def __init__(self, options, source):
        self.report = aligned(options, source, "graph")
        cipher, key, plain = files(options, source)
        self.key = dict(line.split("\t") for line in lines(key)[1:])
        sentences = [line.split("\t")[0].split() for line in lines(cipher)]
        self.total = sum(map(len, sentences))
        self.cipher = Side(sentences)
        text = ([character for character in line.lower() if not character.isspace()] for line in lines(plain))
        self.plain = Side(list(text), 2 * len(self.cipher.types))
        self.true = np.array([self.plain.number.get(self.key[id], -2) for id in self.cipher.types])
        self.map, self.mutual = np.full(len(self.true), -1), np.zeros(len(self.true), bool)
        for line in lines(told_of(options, source, "graph").with_suffix(".tsv"))[1:]:
            id, _, token, _, _, _, mutual, *_ = line.split("\t")
            if id in self.cipher.number and token in self.plain.number:
                self.map[self.cipher.number[id]] = self.plain.number[token]
                self.mutual[self.cipher.number[id]] = mutual == "1"
        self.difference = self.cipher.logarithms[:, None] - self.plain.logarithms[None]

    def right(self, found):
        return self.cipher.counts[found == self.true].sum() / self.total

    def similarities(self, anchors, weights):
        ids, tokens = zip(*anchors)
        a, b = flattened(self.cipher.features(ids, weights), self.plain.features(tokens, weights))
        return a @ b.T

    @staticmethod
    def csls(similarities):
        of_ids = np.sort(similarities, axis=1)[:, -NEIGHBOURS:].mean(1)
        of_tokens = np.sort(similarities, axis=0)[-NEIGHBOURS:].mean(0)
        return 2 * similarities - of_ids[:, None] - of_tokens

    def assigned(self, scores):
        """The best assignment among the first candidates, frequent ids weighed more; and which pairs are each other's best."""
        first = np.argpartition(-scores, CANDIDATES, axis=1)[:, :CANDIDATES]
        allowed = np.zeros(scores.shape, bool)
        np.put_along_axis(allowed, first, True, axis=1)
        weighed = np.where(allowed, (scores + 2.0) * self.cipher.counts[:, None] ** 0.3, 0.0)
        rows, columns = linear_sum_assignment(-weighed)
        found = np.full(len(scores), -1)
        found[rows] = np.where(allowed[rows, columns], columns, -1)
        mutual = (found >= 0) & (scores.argmax(1) == found) & (scores.argmax(0)[found] == np.arange(len(found)))
        return found, mutual

    def learnt(self, penalty, weights):
        found, mutual, before = self.map, self.mutual, None
        for _ in range(ROUNDS):
            anchors = [(id, found[id]) for id in np.flatnonzero(mutual)[:ANCHORS]]
            new = self.similarities(anchors, weights)
            before = new if before is None else 0.5 * (new + before)
            found, mutual = self.assigned(self.csls(before) - penalty)
        return self.right(found)

    def ranks(self):
        wrong = [id for id in np.flatnonzero((self.map != self.true) & (self.true >= 0))][:10]
        anchors = [(id, self.true[id]) for id in range(len(self.true)) if self.true[id] >= 0 and id not in wrong][:ANCHORS]
        similarities = self.similarities(anchors, NEAR)
        rank = lambda id: (similarities[id] > similarities[id, self.true[id]]).sum()
        return [f"{self.key[self.cipher.types[id]]} {self.cipher.counts[id] / self.total:.3f} {rank(id)}" for id in wrong]


NEAR, SENTENCE = (1, 1, 1, 1, 0), (1, 1, 1, 1, 1)


def main():
    options = arguments(__doc__)
    for source in options.sources:
        world = World(options, source)
        print(source, "tool", f"{world.report['token_accuracy']:.4f}", "start", f"{world.right(world.map):.4f}", sep="\t", flush=True)
        square = 0.01 * world.difference**2
        own = (world.difference > 0) & (np.exp(world.cipher.logarithms)[:, None] >= 0.001)
        ways = {
            "square, as the tool": (square, NEAR),
            "the same, and the sentence": (square, SENTENCE),
            "none": (0 * square, NEAR),
            "square up to 2": (np.minimum(square, 0.04), NEAR),
            "square up to 2 for frequent ids that plaintext has less of": (np.where(own, np.minimum(square, 0.04), square), NEAR),
        }
        for way, (penalty, weights) in ways.items():
            print(source, way, f"{world.learnt(penalty, weights):.4f}", sep="\t", flush=True)
        print(source, "share and rank of the true character", *world.ranks(), sep="\t", flush=True)


if __name__ == "__main__":
    main()
