// Whether the page shows what the index says now. A newer index never changes what is being read.

import { fetched, make } from "./dom.js";

const EVERY = 60_000;
const main = document.getElementById("main");
const note = document.getElementById("newer");

/** Bring what the page says of the index up to date, without losing the thread. */
export async function refresh() {
  const response = await fetched("/", { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!page.getElementById("main")) return; // the session has ended
  for (const id of ["trouble", "shown", "count"]) {
    document.getElementById(id).replaceWith(page.getElementById(id));
  }
  document.getElementById("thread").dataset.sources = page.getElementById("thread").dataset.sources;
  main.dataset.generation = page.getElementById("main").dataset.generation;
  for (const id of ["question", "ask"]) {
    document.getElementById(id).disabled = page.getElementById(id).disabled;
  }
  note.hidden = true;
  document.dispatchEvent(new CustomEvent("qa-refreshed"));
}

/** Take note of the generation that replied; say quietly when it is newer than the page. */
export function noteGeneration(generation) {
  if (!generation || generation === main.dataset.generation) return;
  if (!main.dataset.generation || !document.getElementById("welcome").hidden) {
    refresh().catch(() => {}); // nothing is being read yet
    return;
  }
  const button = make("button", { type: "button", class: "plain" }, "Check this thread");
  button.addEventListener("click", async () => {
    await refresh().catch(() => {});
    document.dispatchEvent(new CustomEvent("qa-check"));
  });
  note.replaceChildren("The index is newer than this page. ", button);
  note.hidden = false;
}

async function look() {
  if (document.hidden) return;
  const response = await fetch("/api/v1/status", { cache: "no-store" }).catch(() => null);
  if (response?.ok) noteGeneration((await response.json()).generation);
}

setInterval(look, EVERY);
document.addEventListener("visibilitychange", look);
