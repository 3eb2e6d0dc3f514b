// What the user has set: how answers are drawn, colours, the API key.
//
// Of sampling only what differs from the server's own settings is kept and sent; those are Gemma's unless its command
// line says otherwise.
//
// SPDX-License-Identifier: MIT
import { inBrowser, inTab } from "./kept.js";

/** Each number with its range, and Gemma's value until the server has told its own. */
export const SAMPLING = [
  { name: "temperature", min: 0, max: 2, step: 0.05, value: 1 },
  { name: "top_k", min: 0, max: 1000, step: 1, value: 64 },
  { name: "top_p", min: 0, max: 1, step: 0.01, value: 0.95 },
  { name: "min_p", min: 0, max: 1, step: 0.01, value: 0 },
  { name: "repeat_penalty", min: 0.5, max: 2, step: 0.01, value: 1 },
  { name: "max_tokens", min: 1, max: 1000000, step: 1, value: null },
  { name: "seed", min: 0, max: 4294967295, step: 1, value: null },
];

/** {name: number} of what was set. */
export function sampling() {
  try {
    const kept = JSON.parse(inBrowser.get("sampling") ?? "{}");
    return Object.fromEntries(
      SAMPLING.filter(({ name }) => Number.isFinite(kept[name])).map(({ name }) => [name, kept[name]]),
    );
  } catch {
    return {};
  }
}

/** value null: as the server has it. */
export function setSampling(name, value) {
  const all = sampling();
  if (value === null) delete all[name];
  else all[name] = value;
  inBrowser.set("sampling", JSON.stringify(all));
}

export function resetSampling() {
  inBrowser.set("sampling", null);
}

export const theme = () => inBrowser.get("theme") ?? "system";

export function setTheme(name) {
  inBrowser.set("theme", name === "system" ? null : name);
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

export const apiKey = () => inTab.get("key") ?? inBrowser.get("key") ?? "";
export const keepsKey = () => inBrowser.get("key") !== null;

/** keep: also for other tabs and later; else for this tab alone. */
export function setApiKey(key, keep) {
  inTab.set("key", key && !keep ? key : null);
  inBrowser.set("key", key && keep ? key : null);
}
