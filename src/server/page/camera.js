// A picture from the camera: seen and taken on the page, or by the phone's own program, where a page may not look
// through it (over plain HTTP from another machine).
// SPDX-License-Identifier: MIT
import { button, openDialog } from "./dialogs.js";
import { alarm, byId, make } from "./dom.js";
import { text } from "./texts.js";

function takeStill(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => {
    canvas.toBlob(done, "image/jpeg", 0.92);
  });
}

function showCamera(stream, onPicture) {
  const video = make("video", { autoplay: true, muted: true, playsInline: true, srcObject: stream });
  const dialog = openDialog(
    text("cameraTitle"),
    [
      video,
      make(
        "div",
        { class: "dialog-buttons" },
        button(
          text("cameraTake"),
          async () => {
            const blob = await takeStill(video);
            dialog.close("");
            if (blob) onPicture(new File([blob], `${text("photo")}.jpg`, { type: blob.type }));
          },
          "primary",
        ),
      ),
    ],
    { kind: "camera", onClose: () => stream.getTracks().forEach((track) => track.stop()) },
  );
}

/** onPicture(file) is called when there is one. */
export async function openCamera(onPicture) {
  if (!navigator.mediaDevices?.getUserMedia || matchMedia("(pointer: coarse)").matches) {
    byId("capture").click();
    return;
  }
  try {
    showCamera(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }), onPicture);
  } catch (error) {
    const words = text("errorCamera", { why: error.message });
    alarm(words);
    openDialog(text("cameraTitle"), [make("p", { class: "error" }, words)], { kind: "small" });
  }
}
