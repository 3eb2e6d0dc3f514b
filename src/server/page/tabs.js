// What tabs of this page tell each other: that something was changed, and who is writing an answer.
// SPDX-License-Identifier: MIT
const PATIENCE_MS = 400;

const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel("peridot") : null;
const listeners = new Map(); // by the kind of a message

export function onTold(kind, listener) {
  listeners.set(kind, listener);
}

/** To all other tabs. */
export function tell(kind, values = {}) {
  channel?.postMessage({ kind, ...values });
}

if (channel) channel.onmessage = ({ data }) => listeners.get(data.kind)?.(data);

/** Whether another tab is writing this turn's answer. */
export function isWrittenElsewhere(turn) {
  return new Promise((done) => {
    if (!channel) {
      done(false);
      return;
    }
    const timer = setTimeout(() => done(false), PATIENCE_MS);
    onTold("writing", (data) => {
      if (data.turn !== turn) return;
      clearTimeout(timer);
      done(true);
    });
    tell("who-writes", { turn });
  });
}
