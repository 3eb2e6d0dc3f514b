// Where the reader is: the end is followed while it is in sight, and not otherwise.  SPDX-License-Identifier: MIT
import { byId } from "./dom.js";

const NEAR = 48; // pixels

let follows = true;

const box = () => byId("scroll");

function isNearEnd() {
  const { scrollTop, scrollHeight, clientHeight } = box();
  return scrollHeight - scrollTop - clientHeight < NEAR;
}

function showButton() {
  byId("to-end").hidden = follows;
}

export function toEnd() {
  follows = true;
  box().scrollTop = box().scrollHeight;
  showButton();
}

export function watchScrolling() {
  const grown = new ResizeObserver(() => {
    if (follows) box().scrollTop = box().scrollHeight;
    else showButton();
  });
  grown.observe(byId("turns"));
  grown.observe(box());
  let lastTop = 0;
  box().addEventListener(
    "scroll",
    () => {
      // what grows moves the end away, and not the reader
      if (isNearEnd()) follows = true;
      else if (box().scrollTop < lastTop) follows = false;
      lastTop = box().scrollTop;
      showButton();
    },
    { passive: true },
  );
  byId("to-end").onclick = () => {
    toEnd();
    box().focus({ preventScroll: true });
  };
}
