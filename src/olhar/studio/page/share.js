// The last step: the model as a file for somebody else, and the commands that do the same.

import { address } from "./address.js";
import { chosenModel, modelChooser } from "./models.js";
import { button } from "./pieces.js";
import { follow, now, post } from "./server.js";
import { attempt, toast } from "./toast.js";
import { announce, el, say } from "./words.js";

const place = document.getElementById("step-share");
const parts = {};
let kind = "web";

const KINDS = () => [
  ["web", say("web"), say("web_hint")],
  ["onnx", say("onnx"), say("onnx_hint")],
  ["c", say("c"), say("c_hint")],
  ["card", say("card"), say("card_hint")],
  ["zip", say("model_zip"), say("model_zip_hint")],
  ["project", say("project_zip"), say("project_zip_hint")],
];

export function prepareShare() {
  parts.chooser = modelChooser(() => show(now()));
  parts.kinds = el("fieldset", { class: "kinds" }, el("legend", { class: "hidden" }, say("what_file")), ...KINDS().map(([name, title, hint]) => {
    const input = el("input", { type: "radio", name: "kind", value: name });
    input.checked = name === kind;
    input.addEventListener("change", () => { kind = name; show(now()); });
    return el("label", { class: "kind panel", "data-kind": name }, input, el("span", {}, el("strong", {}, title), el("span", { class: "quiet small" }, hint)));
  }));
  parts.export = button(say("export"), "button main large", exportIt);
  parts.trouble = el("p", { class: "notice", role: "alert", hidden: true });
  parts.none = el("p", { class: "quiet" }, say("no_model_share"));
  parts.address = el("input", { type: "text", placeholder: "models/insects", autocomplete: "off", spellcheck: "false" });
  parts.push = el("form", { class: "panel push" }, el("h2", {}, say("push_title")), el("p", { class: "quiet" }, say("push_hint")),
    el("div", { class: "row" }, el("label", { class: "field grow" }, el("span", { class: "hidden" }, say("push_address")), parts.address), el("button", { type: "submit", class: "button" }, say("push"))));
  parts.push.addEventListener("submit", pushIt);
  parts.commands = el("pre", { tabindex: 0 });
  place.append(el("div", { class: "row heading" }, el("h1", {}, say("share_title")), el("span", { class: "grow" }), parts.chooser.element),
    el("p", { class: "lead" }, say("share_lead")), parts.kinds,
    el("div", { class: "row act" }, parts.export, parts.none), parts.trouble, parts.push,
    el("section", { class: "panel commands" }, el("h2", {}, say("commands")), el("p", { class: "quiet" }, say("commands_hint")), parts.commands));
  follow(show);
}

function show(state) {
  const model = parts.chooser.show(state);
  const ready = Boolean(model) || kind === "project";
  for (const one of parts.kinds.querySelectorAll("input")) one.disabled = !model && one.value !== "project";
  parts.export.disabled = !ready;
  parts.none.hidden = Boolean(model);
  parts.push.hidden = !model;
  const lines = commands(state, model);
  if (parts.commands.textContent !== lines) parts.commands.replaceChildren(el("code", {}, lines));
}

// The same by hand.
function commands({ command }, model) {
  if (!model) return command;
  const { word } = model;
  return [command, `olhar evaluate ${word}`, `olhar predict ${word} PHOTO.jpg`, `olhar serve ${word}`, `olhar export ${word} --format web --out model.html`].join("\n");
}

async function exportIt() {
  const model = chosenModel(now());
  const path = kind === "project" ? "api/project.zip" : `api/models/${encodeURIComponent(model.run)}/export/${kind}`;
  parts.trouble.hidden = true;
  parts.export.disabled = true;
  announce(say("exporting"));
  try {
    const answer = await fetch(address(path), { headers: { "X-Olhar": "studio" } });
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.message ?? say("strange_answer", { status: answer.status }));
    const name = answer.headers.get("Content-Disposition")?.match(/filename\*?=(?:UTF-8'')?"?([^";]+)/)?.[1] ?? kind;
    const url = URL.createObjectURL(await answer.blob());
    const link = el("a", { href: url, download: decodeURIComponent(name) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    toast(say("exported", { name: decodeURIComponent(name) }));
  } catch (error) {
    parts.trouble.textContent = error instanceof TypeError ? say("no_server") : error.message;
    parts.trouble.hidden = false;
  } finally {
    parts.export.disabled = false;
  }
}

async function pushIt(event) {
  event.preventDefault();
  const model = chosenModel(now());
  const where = parts.address.value.trim();
  if (!where) return;
  await attempt(async () => {
    await post(`api/models/${encodeURIComponent(model.run)}/push`, { address: where });
    toast(say("pushed", { address: where }));
  });
}

