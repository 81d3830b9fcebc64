// "Let phones in": the address of the phones' own page, as text and as a code for the camera.

import { button } from "./pieces.js";
import { ask, post } from "./server.js";
import { attempt } from "./toast.js";
import { el, say } from "./words.js";

const dialog = document.getElementById("phones-sheet");

export function preparePhones() {
  document.getElementById("phones").addEventListener("click", () => open());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

async function open(chosen) {
  await attempt(async () => {
    const { url, qr, addresses } = await post("api/phones", chosen ? { address: chosen } : {});
    const code = el("img", { class: "qr", alt: say("qr"), src: `data:image/svg+xml,${encodeURIComponent(qr)}` });
    const select = el("select", {}, ...addresses.map((one) => el("option", { value: one }, one)));
    if (chosen) select.value = chosen;
    else select.value = addresses.find((one) => url.includes(one)) ?? addresses[0];
    select.addEventListener("change", () => open(select.value));
    const parts = [
      el("div", { class: "row" }, el("h2", { id: "phones-title" }, say("phones_title")), el("span", { class: "grow" }),
        button("×", "round", () => dialog.close(), { "aria-label": say("close") })),
      el("p", { class: "quiet" }, say("phones_hint")), code, el("p", { class: "url" }, el("a", { href: url, target: "_blank", rel: "noopener" }, url)),
      addresses.length > 1 ? el("label", { class: "field" }, el("span", {}, say("phones_address")), select) : null,
      el("p", { class: "quiet small" }, say("phones_safe")),
      el("div", { class: "buttons" }, button(say("done"), "button main", () => dialog.close()), button(say("phones_stop"), "button", stop))];
    dialog.replaceChildren(...parts.filter(Boolean));
    if (!dialog.open) dialog.showModal();
  });
}

async function stop() {
  if (await attempt(() => ask("api/phones", { method: "DELETE" }))) dialog.close();
}
