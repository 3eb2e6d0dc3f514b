// Where a message is written: words that grow, pictures by button, drag, paste and camera, and send or stop.
// SPDX-License-Identifier: MIT
import { openCamera } from "./camera.js";
import * as conversations from "./conversations.js";
import { alarm, byId, iconButton, make } from "./dom.js";
import { inTab } from "./kept.js";
import { MOST_PICTURES, imageFiles, pictureOf } from "./pictures.js";
import { server } from "./server.js";
import { text } from "./texts.js";
import { thumbnail } from "./view_turn.js";
import { editLast, isAnswering, send, stopAnswer } from "./view_turns.js";
import { showNotice } from "./view_head.js";

const drafts = new Map(); // pictures by conversation; words are kept in the tab
let shownId = null;

const message = () => byId("message");
const draftName = (id) => `draft.${id}`;
const pictures = () => drafts.get(shownId) ?? [];

// ---- words ---------------------------------------------------------------------------------------

function fit() {
  message().style.height = "auto";
  message().style.height = `${message().scrollHeight}px`;
}

function update() {
  const answering = isAnswering();
  byId("send").hidden = answering;
  byId("stop").hidden = !answering;
  byId("send").disabled = !message().value.trim() && pictures().length === 0;
}

function changed() {
  inTab.set(draftName(shownId), message().value || null);
  fit();
  update();
}

// ---- pictures ------------------------------------------------------------------------------------

function setPictures(list) {
  drafts.set(shownId, list);
  byId("pictures").replaceChildren(
    ...list.map((picture) =>
      make(
        "li",
        {},
        thumbnail(picture),
        iconButton("close", text("removePicture", { name: picture.name }), () => {
          setPictures(pictures().filter((other) => other !== picture));
          message().focus();
        }),
      ),
    ),
  );
  byId("pictures").hidden = list.length === 0;
  update();
}

function refuse(words) {
  showNotice(words);
  alarm(words);
}

async function addPictures(files) {
  if (server.state === "ready" && !server.takesPictures) {
    refuse(`${text("noPictures")}.`);
    return;
  }
  for (const file of files) {
    if (pictures().length === MOST_PICTURES) {
      refuse(text("errorPictureMany", { n: MOST_PICTURES }));
      return;
    }
    try {
      setPictures([...pictures(), await pictureOf(file)]);
    } catch (error) {
      refuse(error.message);
    }
  }
  message().focus();
}

function updatePictureButtons() {
  for (const id of ["attach", "camera"]) {
    byId(id).disabled = server.state === "ready" && !server.takesPictures;
    byId(id).title = byId(id).disabled ? text("noPictures") : text(id);
  }
}

function takeDropped() {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // elements are entered and left all the time
  const show = (by) => {
    depth = Math.max(0, depth + by);
    byId("drop").hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) show(1);
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) show(-1);
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(-depth);
    addPictures([...event.dataTransfer.files]);
  });
}

function takePasted() {
  document.addEventListener("paste", (event) => {
    const files = imageFiles(event.clipboardData?.files ?? []);
    if (files.length === 0) return;
    event.preventDefault();
    addPictures(files);
  });
}

function takeChosen() {
  for (const id of ["files", "capture"]) {
    byId(id).onchange = () => {
      addPictures([...byId(id).files]);
      byId(id).value = "";
    };
  }
  byId("attach").onclick = () => byId("files").click();
  byId("camera").onclick = () => openCamera((file) => addPictures([file]));
}

// ---- sending -------------------------------------------------------------------------------------

function submit() {
  const words = message().value.trim();
  const list = pictures();
  if (isAnswering() || (!words && list.length === 0)) return;
  message().value = "";
  setPictures([]);
  changed();
  showNotice("");
  send(words, list);
}

function key(event) {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  } else if (event.key === "ArrowUp" && !message().value && !isAnswering()) {
    event.preventDefault();
    editLast();
  }
}

function show() {
  if (shownId !== conversations.current().id) {
    shownId = conversations.current().id;
    message().value = inTab.get(draftName(shownId)) ?? "";
    setPictures(pictures());
    fit();
  }
  update();
}

export function startComposer() {
  message().oninput = changed;
  message().onkeydown = key;
  byId("composer").onsubmit = (event) => {
    event.preventDefault();
    submit();
    message().focus();
  };
  byId("stop").onclick = () => {
    stopAnswer();
    message().focus();
  };
  takeChosen();
  takeDropped();
  takePasted();
  conversations.conversations.addEventListener("shown", show);
  conversations.conversations.addEventListener("list", update);
  server.addEventListener("change", updatePictureButtons);
}
