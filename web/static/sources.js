// The sources panel: find, narrow, tick the sources to ask.

import { make, plural } from "./dom.js";

/** The uris to ask; null: all of them. None ticked asks all, too. */
let chosen = null;
const narrowed = document.getElementById("narrowed");

/** Return the sources to ask, undefined for all. */
export function chosenSources() {
  return chosen?.length ? chosen : undefined;
}

function tell() {
  narrowed.hidden = !chosen?.length;
  if (narrowed.hidden) return;
  const button = make("button", { type: "button", class: "plain" }, "Ask all");
  button.addEventListener("click", () => {
    choose(null);
    document.getElementById("question").focus();
  });
  narrowed.replaceChildren(`Asking ${plural(chosen.length, "source")} only. `, button);
}

function choose(uris) {
  chosen = uris;
  tell();
  document.dispatchEvent(new CustomEvent("qa-chosen"));
}

/** Ask one source less; where none is left, ask all. */
export function unchoose(uri) {
  keepThose((chosen ?? []).filter((other) => other !== uri));
}

/** Forget sources that are no longer there; where none is left, ask all. */
function keepThose(uris) {
  if (!chosen) return;
  const left = chosen.filter((uri) => uris.includes(uri));
  choose(left.length ? left : null);
}

/** Make the list of sources in the pane answer to the search field, the types and the ticks. */
export function enhanceSources(content) {
  const entries = [...content.querySelectorAll("#source-list > li")];
  const boxes = entries.map((entry) => entry.querySelector("input"));
  const [find, kind, all, status] = ["#find", "#kind", "#all", "#chosen"].map((id) => content.querySelector(id));

  const kinds = [...new Set(entries.map((entry) => entry.dataset.kind))].sort();
  kind.append(...kinds.map((value) => make("option", { value }, value.toUpperCase() || "FILE")));
  kind.hidden = kinds.length < 2;
  if (entries.length > 1) {
    content.querySelector("#narrow").hidden = false;
    content.querySelectorAll(".tick").forEach((tick) => (tick.hidden = false));
  }

  function draw() {
    boxes.forEach((box, index) => (box.checked = !chosen || chosen.includes(entries[index].dataset.uri)));
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count === entries.length;
    all.indeterminate = count > 0 && count < entries.length;
    const said = count ? `${count} of ${entries.length} are asked.` : "None ticked: all are asked.";
    status.textContent = all.checked ? "" : said;
  }

  function take() {
    const uris = entries.filter((_, index) => boxes[index].checked).map((entry) => entry.dataset.uri);
    choose(uris.length === entries.length ? null : uris);
  }

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const entry of entries) {
      const text = entry.querySelector("div").textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      entry.hidden = !fits || Boolean(kind.value && entry.dataset.kind !== kind.value);
    }
    content.querySelector("#none").hidden = entries.some((entry) => !entry.hidden);
  }

  keepThose(entries.map((entry) => entry.dataset.uri));
  draw();
  find.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  all.addEventListener("change", () => {
    entries.forEach((entry, index) => entry.hidden || (boxes[index].checked = all.checked));
    take();
  });
  boxes.forEach((box) => box.addEventListener("change", take));
  document.addEventListener("qa-chosen", draw);
  return () => document.removeEventListener("qa-chosen", draw);
}
