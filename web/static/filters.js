// What a question was narrowed by, as chips that can be taken away, and the notices of a reply.

import { make, sourcePath } from "./dom.js";

const NAMES = {
  phrases: "phrase",
  excluded: "without",
  sources: "source",
  types: "type",
  after: "after",
  before: "before",
};

/** Return the filters of a reply as pairs of a kind and a value. */
function listed(filters) {
  return Object.keys(NAMES).flatMap((kind) =>
    [filters[kind] ?? []].flat().map((value) => [kind, value]),
  );
}

const written = {
  phrases: (value) => `"${value}"`,
  excluded: (value) => `-"${value}"`,
  sources: (value) => `source:"${value}"`,
  types: (value) => `type:${value}`,
  after: (value) => `after:${value}`,
  before: (value) => `before:${value}`,
};

/** Put a phrase that stands in a question into quotation marks, or add it at the end. */
function quoted(question, phrase) {
  const exact = phrase.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
  const place = new RegExp(`(^|[\\s([{/—–])(${exact})(?![\\p{L}\\p{N}])`, "u");
  return place.test(question)
    ? question.replace(place, (_, before, found) => `${before}"${found}"`)
    : `${question} "${phrase}"`;
}

/** Return the question that asks the same with these filters. */
function question(text, filters) {
  const phrases = filters.filter(([kind]) => kind === "phrases");
  const others = filters.filter(([kind]) => kind !== "phrases");
  return [
    phrases.reduce((asked, [, phrase]) => quoted(asked, phrase), text),
    ...others.map(([kind, value]) => written[kind](value)),
  ].join(" ");
}

/** Say whether a question was narrowed. */
export function asked(reply) {
  return listed(reply.filters ?? {}).length > 0;
}

/** Say whether a filter left nothing to search. */
export function nothingLeft(reply) {
  return (reply.notices ?? []).some((notice) => notice.kind === "nothing_left");
}

/**
 * Return a list of the filters, if any; a button takes one away and asks again.
 * `unchoose` takes away a source that was ticked beside the question.
 */
export function chips(reply, ask, unchoose) {
  const filters = listed(reply.filters ?? {});
  if (!filters.length) return [];
  const entries = filters.map((filter) => {
    const [kind, value] = filter;
    const remove = make(
      "button",
      { type: "button", class: "chip", "aria-label": `Ask again without ${NAMES[kind]}: ${value}` },
      `${NAMES[kind]}: ${value}`,
      make("span", { "aria-hidden": "true" }, "×"),
    );
    const beside = ([of, uri]) => of === "sources" && reply.sources?.includes(uri);
    remove.addEventListener("click", () => {
      if (beside(filter)) unchoose(value);
      ask(question(reply.interpreted, filters.filter((other) => other !== filter && !beside(other))));
    });
    return make("li", {}, remove);
  });
  return [make("ul", { class: "chips", "aria-label": "Filters" }, ...entries)];
}

/** Return the notices of a reply; the sources that they name are links. */
export function notices(reply) {
  return (reply.notices ?? []).map(({ text, uris }) => {
    const nodes = [];
    let reach = 0;
    for (const uri of uris) {
      const start = text.indexOf(uri, reach);
      nodes.push(text.slice(reach, start), make("a", { href: sourcePath(uri) }, uri));
      reach = start + uri.length;
    }
    return make("p", { class: "told", role: "note" }, ...nodes, text.slice(reach));
  });
}
