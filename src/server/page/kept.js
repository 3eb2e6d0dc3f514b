// Small values that the browser keeps: settings in localStorage, and what is this tab's alone in sessionStorage. A
// browser that keeps nothing is no error: they hold as long as the page then.
// SPDX-License-Identifier: MIT
const PREFIX = "peridot.";

function keeper(storage) {
  const memory = new Map();
  return {
    get(name) {
      try {
        return storage().getItem(PREFIX + name) ?? memory.get(name) ?? null;
      } catch {
        return memory.get(name) ?? null;
      }
    },
    /** null: forgets it. */
    set(name, value) {
      memory.delete(name);
      try {
        if (value === null) storage().removeItem(PREFIX + name);
        else storage().setItem(PREFIX + name, value);
      } catch {
        if (value !== null) memory.set(name, value);
      }
    },
  };
}

export const inBrowser = keeper(() => localStorage);
export const inTab = keeper(() => sessionStorage);
