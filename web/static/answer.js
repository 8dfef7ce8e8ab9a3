// A reply of the JSON interface as elements. Source text only ever becomes text nodes.

import { differences } from "./disagreement.js";
import { headingsEnd, make, marked, plural, quoteLink, sourceLink } from "./dom.js";
import { asked as filtered, nothingLeft } from "./filters.js";

const WORDS = [
  [0.95, "Very confident"],
  [0.8, "Confident"],
  [0.5, "Fairly confident"],
  [0, "Not confident"],
];
const CHANNELS = { dense: "meaning", lexical: "words" };

/** Return where a quote stands, in words. */
function place(found) {
  const parts = [...found.section];
  if (found.page !== null) parts.push(`page ${found.page}`);
  parts.push(`line ${found.line}`);
  if (found.date) parts.push(found.date);
  return parts.join(" · ");
}

function citationNumber(citation) {
  return make(
    "a",
    {
      class: "number",
      href: quoteLink(citation),
      "aria-label": `Source ${citation.number}: ${citation.title}, line ${citation.line}`,
      "data-number": String(citation.number),
    },
    String(citation.number),
  );
}

function quote(sentence, citation) {
  return make(
    "blockquote",
    { class: "quote", cite: citation.link, dir: "auto" },
    sentence.plain,
    citationNumber(citation),
  );
}

function alsoIn(places) {
  const links = places.map((other) => make("a", { href: sourceLink(other) }, other.uri));
  return make(
    "span",
    { class: "facts" },
    "Also in: ",
    ...links.flatMap((link, index) => (index ? [", ", link] : [link])),
  );
}

/** Write a footnote in one line, the rest of it on demand. */
function references(texts) {
  if (!texts.length) return null;
  return make(
    "details",
    { class: "references" },
    make("summary", {}, `${plural(texts.length, "reference")} behind it`),
    ...texts.map((text) => make("p", { class: "facts", dir: "auto" }, text)),
  );
}

/** Put citations of one section of one source together. */
function grouped(citations) {
  const groups = new Map();
  for (const citation of citations) {
    const key = JSON.stringify([citation.uri, citation.section, citation.page]);
    groups.set(key, [...(groups.get(key) ?? []), citation]);
  }
  return [...groups.values()];
}

function citationEntry(citations) {
  const [first] = citations;
  const also = citations.flatMap((citation) => citation.also);
  return make(
    "li",
    {},
    make("span", { class: "at", "aria-hidden": "true" }, citations.map(({ number }) => number).join(" ")),
    make(
      "div",
      {},
      make("a", { href: quoteLink(first), "data-number": String(first.number), dir: "auto" }, first.title),
      make("span", { class: "facts", dir: "auto" }, place(first)),
      references([...new Set(citations.flatMap((citation) => citation.references))]),
      also.length ? alsoIn(also) : null,
    ),
  );
}

/** Return what of a question a passage has, each word once. */
function matchedWords(passage) {
  const characters = Array.from(passage.text);
  const words = passage.highlights.map(([start, end]) => characters.slice(start, end).join("").toLowerCase());
  return [...new Set(words)].join(", ");
}

/** Say why a passage was found: words, rank in each channel, what the selector made of it. */
function why(passage) {
  const ranks = Object.entries(passage.ranks)
    .filter(([, rank]) => rank !== null)
    .map(([channel, rank]) => `${rank} by ${CHANNELS[channel] ?? channel}`);
  const facts = [
    ["Words of the question", matchedWords(passage) || "none"],
    ["Rank", ranks.join(", ") || "none"],
  ];
  if (passage.evidence !== undefined && passage.evidence !== null) {
    const read = `${passage.evidence.toFixed(1)}, with ${Math.round(passage.coverage * 100)}% of the question's words`;
    facts.push(["Best sentence", read]);
  }
  return make(
    "dl",
    { class: "why" },
    ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}

function passageText(passage) {
  const characters = Array.from(passage.text);
  const reach = headingsEnd(passage, characters);
  const spans = passage.highlights.map(([start, end]) => [start - reach, end - reach]);
  return marked(passage.uri, characters.slice(reach).join(""), spans.filter(([start]) => start >= 0));
}

function passageEntry(passage) {
  return make(
    "li",
    {},
    make("a", { href: sourceLink(passage), dir: "auto" }, passage.title),
    make("span", { class: "facts", dir: "auto" }, place(passage)),
    make("blockquote", { dir: "auto" }, ...passageText(passage)),
    why(passage),
  );
}

function passageList(passages) {
  return make("ol", { class: "passages" }, ...passages.map(passageEntry));
}

/** Return the confidence of a reply in whole per cent, at most 99: none is certain. */
function percent(reply) {
  return `${Math.min(99, Math.round(reply.confidence * 100))}%`;
}

/** Say in words how sure an answer is, the number on demand. */
function confidence(reply) {
  const [, word] = WORDS.find(([least]) => reply.confidence >= least);
  return make(
    "details",
    { class: "confidence" },
    make("summary", {}, word),
    make(
      "p",
      { class: "facts" },
      `The chance that the sources answer this is ${percent(reply)}, as fitted on questions with known answers. ` +
        `Answered in ${Math.round(reply.took_ms)} ms.`,
    ),
  );
}

function behind(reply) {
  return make(
    "details",
    { class: "behind" },
    make("summary", {}, "Why"),
    make("p", { class: "facts" }, `${plural(reply.passages.length, "passage")} behind this answer, the best first.`),
    passageList(reply.passages),
  );
}

function answered(reply) {
  const numbered = new Map(reply.citations.map((citation) => [citation.number, citation]));
  return [
    make(
      "div",
      { class: "answer" },
      ...reply.answer.map((sentence) => quote(sentence, numbered.get(sentence.citation))),
    ),
    make("ol", { class: "citations", "aria-label": "Sources" }, ...grouped(reply.citations).map(citationEntry)),
    differences(reply.disagreements),
  ];
}

function refused(reply, sources) {
  if (nothingLeft(reply)) return [make("h3", {}, "Nothing was left to search.")];
  const nearest = reply.passages.slice(0, 3);
  const searched = filtered(reply) ? "Searched: what fits the filters. " : `Searched: ${plural(sources, "source")}. `;
  return [
    make("h3", {}, "The sources do not answer this."),
    make("p", { class: "facts" }, `${searched}The chance that they answer is ${percent(reply)}.`),
    nearest.length
      ? make("section", {}, make("h3", {}, "Related, not an answer"), passageList(nearest))
      : null,
  ];
}

/** Return a reply as an element; `sources` is how many were searched. */
export function replyElement(reply, sources) {
  const parts = reply.answered ? answered(reply) : refused(reply, sources);
  return make("div", { class: reply.answered ? "reply" : "reply refusal" }, ...parts);
}

/** Return what a reply tells of itself on demand: how sure it is, and why these passages. */
export function account(reply) {
  return reply.answered ? [confidence(reply), behind(reply)] : [];
}

/** Return what is said aloud of a reply. */
export function spoken(reply) {
  const sentences = reply.answer.map((sentence) => sentence.plain).join(" ");
  const differ = reply.disagreements.length ? " Sources differ." : "";
  const said = reply.answered
    ? `${sentences} ${plural(reply.citations.length, "source")}.${differ}`
    : nothingLeft(reply) ? "" : "The sources do not answer this.";
  return [said, ...reply.notices.map((notice) => notice.text)].join(" ").trim();
}
