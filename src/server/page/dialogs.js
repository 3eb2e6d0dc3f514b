// Dialogs: the browser's own, which keep the focus within and give it back, with a title and a way out.
// SPDX-License-Identifier: MIT
import { iconButton, make, newId } from "./dom.js";
import { showBlob } from "./pictures.js";
import { text } from "./texts.js";

/** Shows a dialog; it is gone when it is closed, by Escape too, of which `onClose(value)` is told. */
export function openDialog(title, content, { kind = "", onClose = () => {} } = {}) {
  const label = newId();
  const dialog = make("dialog", { class: `dialog ${kind}`, "aria-labelledby": label });
  dialog.append(
    make(
      "div",
      { class: "dialog-head" },
      make("h2", { id: label }, title),
      iconButton("close", text("close"), () => dialog.close("")),
    ),
    make("div", { class: "dialog-body" }, ...content),
  );
  const leave = () => document.activeElement?.blur(); // a field that was changed says so then
  dialog.addEventListener("cancel", leave);
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose(dialog.returnValue);
  });
  dialog.addEventListener("mousedown", (event) => {
    // on what is around it
    if (event.target !== dialog) return;
    leave();
    dialog.close("");
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function button(words, onclick, kind = "") {
  return make("button", { type: "button", class: kind, onclick }, words);
}

/** Whether the user is sure. */
export function confirmed(title, words) {
  return new Promise((done) => {
    const dialog = openDialog(
      title,
      [
        make("p", {}, words),
        make(
          "div",
          { class: "dialog-buttons" },
          button(text("cancel"), () => dialog.close("")),
          button(text("removeSure"), () => dialog.close("yes"), "danger"),
        ),
      ],
      { kind: "small", onClose: (value) => done(value === "yes") },
    );
  });
}

/** A field with its label, and words of help behind it. */
export function field(label, input, help = "") {
  input.id = newId();
  const parts = [make("label", { htmlFor: input.id }, label), input];
  if (help) {
    const words = make("p", { class: "help", id: newId() }, help);
    input.setAttribute("aria-describedby", words.id);
    parts.push(words);
  }
  return make("div", { class: "field" }, ...parts);
}

export function checkbox(label, checked) {
  const box = make("input", { type: "checkbox", checked, id: newId() });
  return { box, row: make("div", { class: "check" }, box, make("label", { htmlFor: box.id }, label)) };
}

/** A picture as large as there is room for. */
export function showPicture(picture) {
  const image = make("img", { alt: picture.name });
  showBlob(image, picture.blob);
  openDialog(picture.name || text("picture"), [image], { kind: "viewer" });
}
