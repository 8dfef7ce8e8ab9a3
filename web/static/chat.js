// The chat: ask the JSON interface, show what it returns. Source text only ever becomes text nodes.

import { differences } from "./disagreement.js";
import { make, marked, plural, sourceLink } from "./dom.js";
import { exportControl } from "./export.js";
import { feedbackControl } from "./feedback.js";
import { asked as filtered, chips, notices, nothingLeft } from "./filters.js";
import { addTurn, dropTurn, forgetTurns, searchedFor, turnsBefore } from "./followup.js";

const thread = document.getElementById("thread");
const composer = document.getElementById("composer");
const box = document.getElementById("question");
const welcome = document.getElementById("welcome");
const clear = document.getElementById("clear");
const announcement = document.getElementById("announcement");
const STORED = "qa-thread";

/** Return where a quote stands, in words. */
function place(found) {
  const parts = [...found.section];
  if (found.page !== null) parts.push(`page ${found.page}`);
  parts.push(`line ${found.line}`);
  return `${found.uri} · ${parts.join(" · ")}`;
}

function likelihood(confidence) {
  const words = [
    [0.95, "very confident"],
    [0.8, "confident"],
    [0.5, "fairly confident"],
    [0, "not confident"],
  ];
  const [, word] = words.find(([least]) => confidence >= least);
  return `${word} that the sources answer this (${Math.min(99, Math.round(confidence * 100))}%)`;
}

function citationNumber(citation) {
  return make(
    "a",
    {
      class: "number",
      href: citation.link,
      title: `Open ${citation.title} at this sentence`,
      "aria-label": `Source ${citation.number}: ${citation.title}, line ${citation.line}`,
    },
    String(citation.number),
  );
}

function quote(sentence, citation) {
  return make(
    "blockquote",
    { class: "quote", cite: citation.link },
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
    ...links.flatMap((link, place) => (place ? [", ", link] : [link])),
  );
}

function citationEntry(citation) {
  const dated = citation.date ? ` (${citation.date})` : "";
  const entry = make(
    "li",
    {},
    `${citation.number}. `,
    make("a", { href: citation.link }, citation.title),
    dated,
    make("span", { class: "facts" }, place(citation)),
  );
  for (const reference of citation.references) {
    entry.append(make("span", { class: "facts" }, `cites ${reference}`));
  }
  if (citation.also.length) entry.append(alsoIn(citation.also));
  return entry;
}

function passageEntry(passage) {
  const ranks = Object.entries(passage.ranks)
    .filter(([, rank]) => rank !== null)
    .map(([channel, rank]) => `${rank} by ${channel === "dense" ? "meaning" : "words"}`)
    .join(", ");
  return make(
    "li",
    {},
    make("a", { href: sourceLink(passage) }, passage.title),
    make("span", { class: "facts" }, `${place(passage)} · rank ${ranks}`),
    make("blockquote", {}, ...marked(passage.uri, passage.text, passage.highlights)),
  );
}

function passageList(passages) {
  return make("ol", { class: "passages" }, ...passages.map(passageEntry));
}

function answered(reply) {
  const numbered = new Map(reply.citations.map((citation) => [citation.number, citation]));
  return make(
    "div",
    { class: "reply" },
    make(
      "div",
      {},
      ...reply.answer.map((sentence) => quote(sentence, numbered.get(sentence.citation))),
    ),
    make("ol", { class: "citations", "aria-label": "Sources" }, ...reply.citations.map(citationEntry)),
    differences(reply.disagreements),
    make(
      "details",
      {},
      make("summary", {}, `${plural(reply.passages.length, "passage")} behind this answer`),
      passageList(reply.passages),
    ),
    make("p", { class: "facts" }, `${likelihood(reply.confidence)} · ${reply.took_ms} ms`),
  );
}

function refused(reply) {
  if (nothingLeft(reply)) {
    return make("div", { class: "reply refusal" }, make("h3", {}, "Nothing was left to search."));
  }
  const nearest = reply.passages.slice(0, 3);
  const searched = `Searched: ${plural(Number(thread.dataset.sources), "source")}. `;
  return make(
    "div",
    { class: "reply refusal" },
    make("h3", {}, "The sources do not answer this."),
    make(
      "p",
      { class: "facts" },
      (filtered(reply) ? "Searched: what fits the filters. " : searched) +
        `The chance that they answer is ${Math.round(reply.confidence * 100)}%.`,
    ),
    nearest.length
      ? make("section", {}, make("h3", {}, "Related, not an answer"), passageList(nearest))
      : null,
  );
}

function failed(message) {
  return make("div", { class: "reply trouble", role: "alert" }, make("strong", {}, "That did not work."), message);
}

function add(question, content) {
  const item = make("li", {}, make("h2", { class: "asked" }, question), content);
  thread.append(item);
  welcome.hidden = true;
  clear.hidden = false;
  return item;
}

function show(item, reply) {
  const content = reply.answered ? answered(reply) : refused(reply);
  const searched = searchedFor(reply, () => ask(reply.question, { typed: true }));
  if (searched) content.prepend(searched);
  content.prepend(...chips(reply, ask));
  content.append(
    ...notices(reply),
    make("div", { class: "tools" }, feedbackControl(reply), exportControl("Export this answer", () => [reply])),
  );
  item.reply = reply;
  item.lastElementChild.replaceWith(content);
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? [];
  } catch {
    return [];
  }
}

function keep(reply) {
  try {
    sessionStorage.setItem(STORED, JSON.stringify([...stored(), reply].slice(-50)));
  } catch {
    // a full or forbidden storage only means that the thread ends with the page
  }
}

/** Return the reply to a question after others; throw an Error with a message for people. */
async function request(question, history) {
  let response;
  try {
    response = await fetch("/api/v1/answer", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question, history }),
    });
  } catch {
    throw new Error("The server does not answer. Is `qa serve` still running?");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail ?? `The server replied ${response.status}.`);
  return body;
}

/** Ask within the thread, or the words as typed, without what came before. */
async function ask(question, { typed = false } = {}) {
  const turn = addTurn(question, typed);
  announcement.textContent = "";
  const item = add(question, make("p", { class: "reply waiting" }, "Searching…"));
  item.scrollIntoView({ block: "start" });
  try {
    const reply = await request(question, turnsBefore(turn));
    show(item, reply);
    if (item.isConnected) keep({ ...reply, typed });
    const sentences = reply.answer.map((sentence) => sentence.plain).join(" ");
    const differ = reply.disagreements.length ? " Sources differ." : "";
    const said = reply.answered
      ? `${sentences} ${plural(reply.citations.length, "source")}.${differ}`
      : nothingLeft(reply) ? "" : "The sources do not answer this.";
    announcement.textContent = [said, ...reply.notices.map((notice) => notice.text)].join(" ").trim();
  } catch (error) {
    dropTurn(turn);
    item.lastElementChild.replaceWith(failed(error.message));
    if (!box.value) box.value = question;
  }
  item.scrollIntoView({ block: "start" });
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (!question) return;
  box.value = "";
  box.focus();
  ask(question);
});

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !document.activeElement.matches("textarea") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
  }
});

clear.addEventListener("click", () => {
  sessionStorage.removeItem(STORED);
  forgetTurns();
  thread.replaceChildren();
  welcome.hidden = false;
  clear.hidden = true;
  box.focus();
});

document
  .getElementById("thread-tools")
  .append(exportControl("Export the thread", () => [...thread.children].flatMap((item) => item.reply ?? [])));

for (const reply of stored()) {
  addTurn(reply.question, reply.typed);
  show(add(reply.question, make("p")), reply);
}
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  history.replaceState(null, "", "/");
  ask(asked);
}
