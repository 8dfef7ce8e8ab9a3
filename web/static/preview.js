// The preview of a citation: its quote in context, while its number is pointed at or focused.

import { headingsEnd, make, marked } from "./dom.js";

const AROUND = 160; // characters of context on either side
const DELAY = 120;
const card = make("div", { id: "preview", role: "tooltip", class: "preview" });
card.hidden = true;
document.getElementById("main").append(card);
let shownFor = null;
let waiting = 0;

/** Return a quote, marked, with some text of its passage around it, as nodes. */
function inContext(citation, passages) {
  const passage = passages.find(
    ({ uri, start, end }) => uri === citation.uri && start <= citation.start && citation.end <= end,
  );
  if (!passage) return [make("mark", {}, citation.quote)];
  const characters = Array.from(passage.text);
  const low = citation.start - passage.start;
  const high = citation.end - passage.start;
  const first = Math.min(low, headingsEnd(passage, characters));
  const from = Math.max(first, low - AROUND);
  const to = Math.min(characters.length, high + AROUND);
  const nodes = marked(citation.uri, characters.slice(from, to).join(""), [[low - from, high - from]]);
  return [from > first ? "…" : "", ...nodes, to < characters.length ? "…" : ""];
}

function position(anchor) {
  const { left, top, bottom } = anchor.getBoundingClientRect();
  const { width, height } = card.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  card.style.setProperty("left", `${Math.max(8, Math.min(left - 24, room - width - 8))}px`);
  const below = bottom + 8 + height < innerHeight;
  card.style.setProperty("top", `${Math.max(8, below ? bottom + 8 : top - height - 8)}px`);
}

function show(anchor, citation, passages) {
  card.replaceChildren(
    make("p", { class: "facts", dir: "auto" }, [citation.title, ...citation.section].join(" · ")),
    make("p", { dir: "auto" }, ...inContext(citation, passages)),
  );
  card.hidden = false;
  shownFor = anchor;
  anchor.setAttribute("aria-describedby", card.id);
  position(anchor);
}

/** Take the preview away; return whether there was one. */
export function hidePreview() {
  clearTimeout(waiting);
  if (card.hidden) return false;
  card.hidden = true;
  shownFor?.removeAttribute("aria-describedby");
  shownFor = null;
  return true;
}

/** Show the preview of a reply's citations at their numbers. */
export function previews(element, reply) {
  for (const number of element.querySelectorAll(".quote .number")) {
    const citation = reply.citations.find((found) => String(found.number) === number.dataset.number);
    const open = () => show(number, citation, reply.passages);
    number.addEventListener("pointerenter", (event) => {
      clearTimeout(waiting);
      if (event.pointerType === "mouse") waiting = setTimeout(open, DELAY);
    });
    number.addEventListener("focus", () => number.matches(":focus-visible") && open());
    number.addEventListener("blur", hidePreview);
    number.addEventListener("pointerleave", leave);
  }
}

/** Leave the preview open while the pointer is on its way to it, or on it. */
function leave() {
  clearTimeout(waiting);
  waiting = setTimeout(() => card.matches(":hover") || hidePreview(), 2 * DELAY);
}

card.addEventListener("pointerleave", leave);
addEventListener("scroll", () => shownFor && hidePreview(), { passive: true, capture: true });
