// Answers from before: whether what they quote still stands in the files.

import { make, plural, post, quoteLink } from "./dom.js";
import { quotes } from "./export.js";

const MOST = 100; // that the JSON interface checks at once

function said(gone, moved) {
  const parts = [];
  if (gone.length) {
    const verb = gone.length === 1 ? "does" : "do";
    parts.push(`${plural(gone.length, "quote")} of this answer ${verb} not stand in the sources any more.`);
  }
  if (moved.length) parts.push(`${plural(moved.length, "quote")} moved; the link leads to the new place.`);
  return parts.join(" ");
}

/** Lead the links of a citation to where its quote stands now. */
function lead(element, citation, moved) {
  Object.assign(citation, moved);
  const links = element.querySelectorAll(`[data-number="${citation.number}"]`);
  links.forEach((link) => (link.href = quoteLink(citation)));
}

function mark(element, reply, checked, ask) {
  const gone = reply.citations.filter((_, index) => ["changed", "missing"].includes(checked[index].state));
  const moved = reply.citations.filter((_, index) => checked[index].state === "moved");
  reply.citations.forEach((citation, index) => {
    if (checked[index].moved_to) lead(element, citation, checked[index].moved_to);
  });
  element.querySelector(".stale")?.remove();
  element.querySelectorAll(".lost").forEach((quote) => quote.classList.remove("lost"));
  if (!gone.length && !moved.length) return;
  const note = make("p", { class: "told stale", role: "note" }, make("span", {}, said(gone, moved)));
  for (const { number } of gone) {
    element.querySelector(`.quote .number[data-number="${number}"]`)?.closest(".quote").classList.add("lost");
  }
  if (gone.length) {
    const again = make("button", { type: "button", class: "quiet" }, "Ask again");
    again.addEventListener("click", () => ask(reply.question));
    note.append(again);
  }
  element.prepend(note);
}

/** Check the quotes of replies, and mark those whose sources have changed since. */
export async function markStale(shown, ask) {
  const cited = shown.filter(({ reply }) => reply.citations.length);
  for (let first = 0; first < cited.length; ) {
    let count = 0;
    let end = first;
    while (end < cited.length && count + cited[end].reply.citations.length <= MOST) {
      count += cited[end].reply.citations.length;
      end += 1;
    }
    const batch = cited.slice(first, end);
    const citations = batch.flatMap(({ reply }) => quotes(reply));
    const checked = (await (await post("/api/v1/verify", { citations })).json()).citations;
    for (const { element, reply } of batch) mark(element, reply, checked.splice(0, reply.citations.length), ask);
    first = end;
  }
}
