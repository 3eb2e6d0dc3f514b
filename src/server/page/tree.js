// The turns of a conversation are a tree: an edited message and another answer are branches beside the old ones, and
// nothing is lost. `chosen` says for each turn which of those behind it is shown.
// SPDX-License-Identifier: MIT

/** Under which `chosen` knows the first message. */
const ROOT = "root";
const keyOf = (parent) => parent ?? ROOT;

/** The turns behind one, oldest first; parent null: the first messages. */
export function childrenOf(turns, parent) {
  return [...turns.values()]
    .filter((turn) => turn.parent === parent)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/** From the first message to the last one that is shown. */
export function pathOf(turns, chosen) {
  const path = [];
  for (let parent = null; ;) {
    const children = childrenOf(turns, parent);
    if (children.length === 0) return path;
    const turn = children.find((child) => child.id === chosen[keyOf(parent)]) ?? children.at(-1);
    path.push(turn);
    parent = turn.id;
  }
}

/** Shows it, and what is before it. */
export function choose(turns, chosen, turn) {
  for (let at = turn; at; at = turns.get(at.parent)) chosen[keyOf(at.parent)] = at.id;
}

/** {n, count, before, after}: where it stands among the versions of the same message. */
export function versionsOf(turns, turn) {
  const all = childrenOf(turns, turn.parent);
  const at = all.findIndex((other) => other.id === turn.id);
  return { n: at + 1, count: all.length, before: all[at - 1], after: all[at + 1] };
}

/** The same tree with other ids, as a copy from elsewhere needs them. */
export function renamed(turns, chosen, newId) {
  const names = new Map(turns.map((turn) => [turn.id, newId()]));
  const nameOf = (id) => names.get(id) ?? null;
  return {
    turns: turns.map((turn) => ({ ...turn, id: nameOf(turn.id), parent: nameOf(turn.parent) })),
    chosen: Object.fromEntries(
      Object.entries(chosen)
        .map(([key, id]) => [key === ROOT ? ROOT : nameOf(key), nameOf(id)])
        .filter(([key, id]) => key && id),
    ),
  };
}
