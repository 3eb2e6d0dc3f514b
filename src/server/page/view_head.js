// What stands above and below the turns: the title, which model on which device, how fast, how full, and a notice.
// SPDX-License-Identifier: MIT
import * as conversations from "./conversations.js";
import { byId } from "./dom.js";
import { server } from "./server.js";
import { text } from "./texts.js";
import { speedOf } from "./view_turn.js";

let notice = "";

/** One sentence above the turns; "" takes it away. What there is to say of the server comes first. */
export function showNotice(words) {
  notice = words;
  updateNotice();
}

function serverWords() {
  switch (server.state) {
    case "loading":
      return text("loading");
    case "lost":
      return text("lost");
    case "locked":
      return text("needsKey");
    default:
      return "";
  }
}

function updateNotice() {
  const words = serverWords() || notice;
  if (byId("notice").textContent !== words) byId("notice").textContent = words;
  byId("notice").hidden = !words;
}

function updateFigures() {
  const figures = conversations.path().findLast((turn) => turn.figures)?.figures;
  const size = server.contextSize;
  byId("speed").textContent = figures ? speedOf(figures) : "";
  byId("context").textContent = size ? text("contextOf", { used: figures?.context ?? 0, size }) : "";
  const meter = byId("context-meter");
  meter.hidden = !size;
  meter.max = size || 1;
  meter.high = 0.9 * size;
  meter.value = figures?.context ?? 0;
}

function updateServer() {
  const known = server.name !== "";
  byId("model").textContent = known ? text("on", { model: server.name, device: server.device }) : text("connecting");
  byId("model").title = byId("model").textContent;
  byId("welcome-more").textContent = server.takesPictures
    ? `${text("welcomePictures")} ${text("welcomeText")}`
    : text("welcomeText");
  updateNotice();
  updateFigures();
}

function updateTitle() {
  const title = conversations.current().title || text("untitled");
  byId("title").textContent = title;
  document.title = `${title} · Peridot`;
  updateFigures();
}

export function startHead() {
  conversations.conversations.addEventListener("shown", updateTitle);
  conversations.conversations.addEventListener("turn", updateFigures);
  conversations.conversations.addEventListener("unkept", ({ detail }) =>
    showNotice(text("errorSave", { why: detail })),
  );
  server.addEventListener("change", updateServer);
  updateServer();
}
