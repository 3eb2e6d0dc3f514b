// Pictures: from files to what is kept and sent.
//
// The server reads PNG, JPEG and WebP; what else the browser can show becomes one of these. Large ones are made
// smaller: a model sees 896 by 896 pixels at a time, and a conversation sends its pictures with each message.
//
// SPDX-License-Identifier: MIT
import { newId } from "./dom.js";
import { text } from "./texts.js";

export const MOST_PICTURES = 16;
const SENT_AS_THEY_ARE = ["image/png", "image/jpeg", "image/webp"];
const MOST_BYTES = 3 << 20;
const LONGEST_SIDE = 2048;
const JPEG_QUALITY = 0.92;

const encoded = (canvas, type) =>
  new Promise((done) => {
    canvas.toBlob(done, type, JPEG_QUALITY);
  });

/** What may have transparent parts stays without loss. */
async function smaller(bitmap, type) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await encoded(canvas, type === "image/jpeg" ? type : "image/png");
  return { blob, width: canvas.width, height: canvas.height };
}

/** A picture of a file or blob. Error: a sentence. */
export async function pictureOf(file, name = file.name || text("pasted")) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(text("errorPicture", { name }));
  }
  const fits = file.size <= MOST_BYTES && Math.max(bitmap.width, bitmap.height) <= LONGEST_SIDE;
  const { blob, width, height } =
    SENT_AS_THEY_ARE.includes(file.type) && fits
      ? { blob: file.slice(0, file.size, file.type), width: bitmap.width, height: bitmap.height }
      : await smaller(bitmap, file.type);
  bitmap.close();
  return { id: newId(), name, type: blob.type, width, height, blob };
}

export function dataUrlOf(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Shows it; the browser may forget the file when it has been drawn. */
export function showBlob(image, blob) {
  const url = URL.createObjectURL(blob);
  image.onload = image.onerror = () => URL.revokeObjectURL(url);
  image.src = url;
}

/** The pictures among what was dropped, pasted or chosen. */
export const imageFiles = (files) => [...files].filter((file) => file.type.startsWith("image/"));
