// Asks the user for the server's key.  SPDX-License-Identifier: MIT
import { checkbox, field, openDialog } from "./dialogs.js";
import { make } from "./dom.js";
import { apiKey, keepsKey, setApiKey } from "./settings.js";
import { text } from "./texts.js";

export function keyInput() {
  return make("input", { type: "password", autocomplete: "off", spellcheck: false, value: apiKey() });
}

/** Whether there is a key now that can be tried. */
export function askForKey() {
  return new Promise((done) => {
    const input = keyInput();
    const { box, row } = checkbox(text("keyKeep"), keepsKey());
    const form = make(
      "form",
      {},
      make("p", {}, text("keyText")),
      apiKey() ? make("p", { class: "error", role: "alert" }, text("keyWrong")) : null,
      field(text("key"), input),
      row,
      make("div", { class: "dialog-buttons" }, make("button", { type: "submit", class: "primary" }, text("keyUse"))),
    );
    const dialog = openDialog(text("keyTitle"), [form], { kind: "small", onClose: (value) => done(value === "yes") });
    form.onsubmit = (event) => {
      event.preventDefault();
      setApiKey(input.value.trim(), box.checked);
      dialog.close("yes");
    };
    input.focus();
  });
}
