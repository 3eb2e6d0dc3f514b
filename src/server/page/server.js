// What is known of the server: whether it answers, its model and device. Asks again by itself until it does.
// SPDX-License-Identifier: MIT
import { ask } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

/** "change" is told whenever one of these is another. */
export const server = Object.assign(new EventTarget(), {
  state: "connecting", // "ready", "loading", "lost", "locked"
  message: "",
  name: "",
  device: "",
  takesPictures: false,
  contextSize: 0,
  defaults: {},
});

let connecting = null;

function set(values) {
  Object.assign(server, values);
  server.dispatchEvent(new Event("change"));
}

function learn(props) {
  const settings = props.default_generation_settings ?? {};
  set({
    state: "ready",
    message: "",
    name: props.model_alias ?? "",
    device: props.device_name ?? "",
    takesPictures: Boolean(props.modalities?.vision),
    contextSize: settings.n_ctx ?? 0,
    defaults: settings.params ?? {},
  });
}

const STATES = { 0: "lost", 401: "locked", 503: "loading" };

async function connectUntilReady() {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      learn(await (await ask("/props")).json());
      return;
    } catch (error) {
      set({ state: STATES[error.status] ?? "lost", message: error.message });
      if (error.status === 401) return; // the user did not want to give a key now
    }
    await new Promise((done) => {
      setTimeout(done, wait);
    });
  }
}

/** Resolves when it is ready, or wants a key that the user does not give. */
export function connect() {
  connecting ??= connectUntilReady().finally(() => {
    connecting = null;
  });
  return connecting;
}
