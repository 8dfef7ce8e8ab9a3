// The pane beside the thread: it shows another page of ours, or what a script makes. On a phone it
// covers the thread.

import { fetched, make } from "./dom.js";

const pane = document.getElementById("pane");
const title = document.getElementById("pane-title");
const tools = document.getElementById("pane-tools");
const body = document.getElementById("pane-body");
const rest = ["top", "main", "composer"].map((id) => document.getElementById(id));
const narrow = matchMedia("(max-width: 63.99rem)");
let opener = null;
let closing = () => {};
let shown = 0;

export const paneIsOpen = () => !pane.hidden;

/** What the pane covers can be neither reached nor read. */
function cover() {
  rest.forEach((element) => (element.inert = paneIsOpen() && narrow.matches));
}

function hide() {
  if (!paneIsOpen()) return;
  closing();
  closing = () => {};
  shown += 1;
  pane.hidden = true;
  document.body.classList.remove("with-pane");
  cover();
  body.replaceChildren();
  (opener?.isConnected ? opener : document.getElementById("question")).focus({ preventScroll: true });
}

/** Close the pane, as "back" does. */
export function closePane() {
  if (history.state?.pane) history.back();
  else hide();
}

/**
 * Open the pane with a title, tools and content; return where the content stands.
 * `onClose` runs when other content comes, or none; `again` is for what was there before, only newer.
 */
export function openPane(name, content, { controls = [], onClose = () => {}, again = false } = {}) {
  const elsewhere = !pane.contains(document.activeElement);
  const { scrollTop } = pane;
  closing();
  closing = onClose;
  shown += 1;
  if (!paneIsOpen()) {
    opener = document.activeElement;
    history.pushState({ pane: true }, "");
  }
  title.textContent = name;
  tools.replaceChildren(...controls);
  body.replaceChildren(...content);
  pane.hidden = false;
  document.body.classList.add("with-pane");
  cover();
  pane.scrollTop = again ? scrollTop : 0;
  if (!(again && elsewhere)) title.focus({ preventScroll: true });
  return body;
}

/** Return the content of another page of ours: its title and its elements. */
async function contentOf(address) {
  const response = await fetched(address, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = page.getElementById("content");
  if (!main) throw new Error("The session has ended; reload the page.");
  const heading = main.querySelector("h1");
  heading.remove();
  const content = make("div", { id: main.id, class: "content" }); // the page has a main part of its own
  Object.assign(content.dataset, main.dataset);
  content.append(...main.childNodes);
  return { name: heading.textContent, content };
}

/** Open a page of ours in the pane; `ready` gets its content. Resolves when it is shown. */
export async function openPage(address, { controls = () => [], ready = () => {}, onClose, again } = {}) {
  const wanted = (shown += 1);
  try {
    const { name, content } = await contentOf(address);
    if (wanted !== shown) return;
    openPane(name, [content], { controls: controls(), onClose, again });
    ready(content);
  } catch (error) {
    if (wanted !== shown) return;
    openPane("That did not work", [make("p", { class: "failed", role: "alert" }, error.message)], {
      controls: controls(),
    });
  }
}

document.getElementById("pane-close").addEventListener("click", closePane);
narrow.addEventListener("change", cover);
addEventListener("popstate", (event) => {
  if (!event.state?.pane) hide();
  else if (!paneIsOpen()) history.replaceState(null, ""); // what it showed is gone
});
if (history.state?.pane) history.replaceState(null, "");
