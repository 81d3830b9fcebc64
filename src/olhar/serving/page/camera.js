// A photo from this computer's camera; on phones the camera's own app takes it.

import { say } from "./words.js";

const byId = (id) => document.getElementById(id);
let stream = null;

export function prepareCamera(taken) {
  const has = Boolean(navigator.mediaDevices?.getUserMedia); // only under https or on localhost
  const phone = matchMedia("(pointer: coarse)").matches;
  byId("camera").hidden = !has && !phone;
  byId("camera").addEventListener("click", () => (phone ? byId("phone-camera").click() : open()));
  byId("camera-close").addEventListener("click", () => byId("camera-sheet").close());
  byId("camera-sheet").addEventListener("close", stop);
  byId("shoot").addEventListener("click", async () => {
    const photo = await shoot(byId("video"));
    byId("camera-sheet").close();
    taken(photo);
  });
}

async function open() {
  byId("camera-trouble").hidden = true;
  byId("shoot").disabled = true;
  byId("camera-sheet").showModal();
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false });
    if (!byId("camera-sheet").open) {
      for (const track of found.getTracks()) track.stop();
      return;
    }
    stream = found;
    byId("video").srcObject = stream;
    await byId("video").play();
    byId("shoot").disabled = false;
    byId("shoot").focus();
  } catch (error) {
    byId("camera-trouble").textContent = say(error.name === "NotFoundError" ? "camera_none" : "camera_refused");
    byId("camera-trouble").hidden = false;
  }
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  byId("video").srcObject = null;
}

function shoot(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}
