// The beginning: puts the parts together, opens what is kept, and finds the server; and the keys of the whole page.
// SPDX-License-Identifier: MIT
import { onKeyNeeded } from "./api.js";
import { openConversations } from "./conversations.js";
import { byId, fillWords } from "./dom.js";
import { connect, server } from "./server.js";
import { openStore } from "./store.js";
import { text } from "./texts.js";
import { startComposer } from "./view_composer.js";
import { showNotice, startHead } from "./view_head.js";
import { askForKey } from "./view_key.js";
import { watchScrolling } from "./view_scroll.js";
import { openSettings, startSettings } from "./view_settings.js";
import { closeDrawer, focusSearch, isDrawerOpen, startNew, startSide } from "./view_side.js";
import { showTurns, stopAnswer } from "./view_turns.js";

/** Dialogs have their own Escape, and so has a turn that is being edited. */
function key(event) {
  if (document.querySelector("dialog[open]")) return;
  const { key: name, altKey, ctrlKey, metaKey, code } = event;
  if (name === "Escape") {
    if (isDrawerOpen()) closeDrawer();
    else if (!stopAnswer()) byId("message").focus();
  } else if (altKey && code === "KeyN") startNew();
  else if (altKey && code === "KeyS") openSettings();
  else if ((ctrlKey || metaKey) && code === "KeyK") focusSearch();
  else return;
  event.preventDefault();
}

/** A server that was away while nobody looked may be another one. */
function lookAgain() {
  if (document.visibilityState === "visible" && server.state === "ready") connect();
}

async function start() {
  fillWords(document);
  startSide();
  startHead();
  showTurns();
  startComposer();
  startSettings();
  watchScrolling();
  onKeyNeeded(askForKey);
  document.addEventListener("keydown", key);
  document.addEventListener("visibilitychange", lookAgain);
  let unkept = "";
  await openStore().catch((error) => {
    unkept = text("errorStorage", { why: error.message });
  });
  await openConversations();
  if (unkept) showNotice(unkept);
  byId("message").focus();
  await connect();
}

start();
