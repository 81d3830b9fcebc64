// The camera of this computer: one picture that several parts of the page may show, one after the other.

import { say } from "./words.js";

export const usable = Boolean(navigator.mediaDevices?.getUserMedia); // under https or on localhost alone

let stream = null;
let holder = null; // who shows it; told when somebody else takes it
let wanted = { facingMode: "environment" }; // the back of a phone; any camera of a computer

// Shows the camera in `video`; `taken()` is called when another part of the page takes it. A sentence where it fails.
export async function openCamera(video, taken) {
  if (holder && holder.video !== video) holder.taken();
  holder = { video, taken };
  try {
    if (!stream?.active) {
      stream = await navigator.mediaDevices.getUserMedia({ video: { ...wanted, width: { ideal: 1280 } }, audio: false });
      stream.getVideoTracks()[0].addEventListener("ended", lost);
    }
    if (holder?.video !== video) return null;
    video.srcObject = stream;
    const { facingMode } = stream.getVideoTracks()[0].getSettings();
    video.classList.toggle("mirrored", facingMode !== "environment"); // as people know themselves; photos are not turned
    await video.play();
    video.parentElement.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
    return null;
  } catch (error) {
    if (error.name === "AbortError") return null; // closed before it had begun
    closeCamera(video);
    if (error.name === "NotAllowedError") return say("camera_refused");
    if (error.name === "NotReadableError") return say("camera_taken");
    return say("camera_none");
  }
}

// The camera was pulled out, or its permission taken back: the last picture must not stand there as if it went on.
function lost() {
  const last = holder;
  if (!last) return;
  closeCamera(last.video);
  last.taken();
}

export function closeCamera(video) {
  if (holder?.video !== video) return;
  holder = null;
  stopStream();
  video.srcObject = null;
}

function stopStream() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
}

// The next camera: front and back on a phone.
export async function turnCamera(video) {
  const taken = holder?.taken;
  const found = await cameras();
  const at = found.findIndex(({ deviceId }) => deviceId === stream?.getVideoTracks()[0]?.getSettings().deviceId);
  wanted = { deviceId: { exact: found[(at + 1) % found.length].deviceId } };
  stopStream();
  return openCamera(video, taken);
}

export async function cameras() {
  const found = await navigator.mediaDevices.enumerateDevices();
  return found.filter(({ kind }) => kind === "videoinput");
}

// What the camera shows, as JPEG whose shorter side has at most `side` pixels; null before it shows anything.
export function frame(video, side, quality = 0.92) {
  const { videoWidth: width, videoHeight: height } = video;
  if (!width || video.readyState < 2) return Promise.resolve(null);
  const scale = Math.min(1, side / Math.min(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
}
