// Where sources differ: both quotes side by side, what differs in them marked.

import { make, marked, quoteLink } from "./dom.js";

const KINDS = {
  quantity: "They give different numbers.",
  date: "They give different dates.",
  claim: "One disputes what the other says.",
};

function side(citation, spans) {
  return make(
    "li",
    {},
    make("blockquote", { cite: citation.link }, ...marked(citation.uri, citation.quote, spans)),
    make("a", { href: quoteLink(citation) }, `${citation.number}. ${citation.title}`),
    make("span", { class: "facts" }, citation.date ?? "undated"),
  );
}

/** Return the disagreements of a reply as a section, null where there are none. */
export function differences(disagreements) {
  if (!disagreements.length) return null;
  return make(
    "section",
    { class: "differences", "aria-label": "Sources differ" },
    make("h3", {}, "Sources differ"),
    ...disagreements.flatMap(({ kind, citations, spans }) => [
      make("p", { class: "facts" }, KINDS[kind]),
      make("ul", {}, ...citations.map((citation, place) => side(citation, spans[place]))),
    ]),
  );
}
