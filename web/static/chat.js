// The chat: ask, show what comes back, open a citation beside it, keep the thread.

import { account, replyElement, spoken } from "./answer.js";
import { make, post, quoteLink } from "./dom.js";
import { exportControl } from "./export.js";
import { feedbackControl } from "./feedback.js";
import { chips, notices } from "./filters.js";
import { addTurn, dropTurn, forgetTurns, searchedFor, turnsBefore } from "./followup.js";
import { noteGeneration } from "./freshness.js";
import { currentThread, keepTurn, newThread, remember, titleOf } from "./history.js";
import { closePane, openPage, paneIsOpen } from "./pane.js";
import { hidePreview, previews } from "./preview.js";
import { enhance, showCited } from "./reader.js";
import { placeTools, suggest } from "./rebuild.js";
import { chosenSources, enhanceSources, unchoose } from "./sources.js";

const thread = document.getElementById("thread");
const composer = document.getElementById("composer");
const box = document.getElementById("question");
const welcome = document.getElementById("welcome");
const clear = document.getElementById("clear");
const announcement = document.getElementById("announcement");
let kept = newThread();
/** The citations of the answer that the pane shows, and which of them: what the arrows step through. */
let reading = null;

function failed(message) {
  return make("div", { class: "reply trouble", role: "alert" }, make("strong", {}, "That did not work."), message);
}

function add(question, content) {
  const item = make("li", {}, make("h2", { class: "asked", dir: "auto" }, question), content);
  thread.append(item);
  welcome.hidden = true;
  clear.hidden = false;
  return item;
}

function show(item, reply) {
  const content = replyElement(reply, Number(thread.dataset.sources));
  const searched = searchedFor(reply, () => ask(reply.question, { typed: true }));
  if (searched) content.prepend(searched);
  content.prepend(...chips(reply, ask, unchoose));
  content.append(
    ...notices(reply),
    make("div", { class: "tools" }, ...account(reply), exportControl("Export this answer", () => [reply]), feedbackControl(reply)),
  );
  previews(content, reply);
  item.reply = reply;
  item.lastElementChild.replaceWith(content);
}

function keep(turn) {
  remember(kept.id);
  return keepTurn(kept, turn);
}

/** Ask within the thread, or the words as typed, without what came before. */
async function ask(question, { typed = false } = {}) {
  const turn = addTurn(question, typed);
  announcement.textContent = "";
  const item = add(question, make("p", { class: "reply waiting" }, "Searching…"));
  item.scrollIntoView({ block: "start" });
  const asked = Date.now();
  try {
    const sources = chosenSources();
    const body = { question, history: turnsBefore(turn), sources };
    const reply = { ...(await (await post("/api/v1/answer", body)).json()), sources };
    if (item.isConnected) await keep({ reply, typed, asked }); // first: what is shown is not lost by a reload
    show(item, reply);
    if (item.isConnected) announcement.textContent = spoken(reply);
    noteGeneration(reply.generation);
  } catch (error) {
    dropTurn(turn);
    item.lastElementChild.replaceWith(failed(error.message));
    if (!box.value) box.value = question;
  }
  item.scrollIntoView({ block: "start" });
}

// the pane: sources and citations

/** Return the address of a citation, with the other quotes of its answer from the same source. */
function withOthers(citation, reply) {
  const others = reply.citations.filter((other) => other !== citation && other.uri === citation.uri);
  return quoteLink(citation) + others.map(({ start, end }) => `&near=${start}-${end}`).join("");
}

function stepper(step, label, mark) {
  const button = make("button", { type: "button", class: "icon", "aria-label": label }, mark);
  button.addEventListener("click", () => stepTo(step));
  return button;
}

function readingControls() {
  if (!reading || reading.reply.citations.length < 2) return [];
  const { index, reply } = reading;
  return [
    stepper(-1, "Previous citation", "‹"),
    make("span", { class: "facts" }, `${index + 1} of ${reply.citations.length}`),
    stepper(1, "Next citation", "›"),
  ];
}

function stepTo(step) {
  const count = reading.reply.citations.length;
  read(reading.reply, (reading.index + step + count) % count);
}

/** Open a citation of a reply beside the thread. */
function read(reply, index) {
  reading = { reply, index };
  document.querySelectorAll(".number[aria-current]").forEach((number) => number.removeAttribute("aria-current"));
  const item = [...thread.children].find((entry) => entry.reply === reply);
  const { number } = reply.citations[index];
  item?.querySelector(`.number[data-number="${number}"]`)?.setAttribute("aria-current", "true");
  openInside(withOthers(reply.citations[index], reply), readingControls);
}

/** Open a page of ours in the pane; `again` where it is there already, only older. */
function openInside(address, controls = () => [], again = false) {
  hidePreview();
  let leave = () => {};
  openPage(address, {
    controls,
    again,
    onClose: () => leave(),
    ready: (content) => {
      if (content.dataset.uri) {
        enhance(content);
        showCited(content);
      } else if (content.querySelector("#source-list")) {
        leave = enhanceList(content);
      }
    },
  });
}

function enhanceList(content) {
  const forget = enhanceSources(content);
  placeTools(content.querySelector("#index-place"));
  if (content.querySelector("#drop")) {
    import("./upload.js").then(({ enhanceUploads }) => enhanceUploads(content, suggest));
  }
  return () => {
    forget();
    placeTools(null);
  };
}

const plainClick = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || !plainClick(event) || link.hasAttribute("download")) return;
  const { reply } = link.closest("#thread > li") ?? {};
  const cited = reply?.citations.findIndex(({ number }) => String(number) === link.dataset.number) ?? -1;
  const source = link.origin === location.origin && link.pathname.startsWith("/sources");
  if (cited >= 0) {
    event.preventDefault();
    read(reply, cited);
  } else if (source || "inside" in link.dataset) {
    event.preventDefault();
    reading = null;
    openInside(link.pathname + link.search);
  } else if (link.closest(".examples")) {
    event.preventDefault();
    ask(link.textContent);
  }
});

document.addEventListener("qa-refreshed", () => {
  if (document.querySelector("#pane-body #source-list")) openInside("/sources", undefined, true);
});

// the keyboard

function moveAmongNumbers(number, step) {
  const numbers = [...number.closest("li").querySelectorAll(".quote .number")];
  numbers[(numbers.indexOf(number) + step + numbers.length) % numbers.length].focus();
}

const takesKeys = (element) => element.matches("textarea, input, select, .table");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const focused = document.activeElement;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Escape") {
    if (!hidePreview() && paneIsOpen()) closePane();
  } else if (event.key === "/" && !takesKeys(focused) && !composer.inert) {
    event.preventDefault();
    box.focus();
  } else if (step && focused.matches(".quote .number")) {
    event.preventDefault();
    moveAmongNumbers(focused, step);
  } else if (step && paneIsOpen() && reading && !takesKeys(focused)) {
    event.preventDefault();
    if (reading.reply.citations.length > 1) stepTo(step);
  }
});

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (!question) return;
  box.value = "";
  box.focus();
  ask(question);
});

// the thread and those before it

function empty() {
  forgetTurns();
  thread.replaceChildren();
  welcome.hidden = false;
  clear.hidden = true;
}

function draw(found) {
  empty();
  kept = found;
  for (const { reply, typed } of found.turns) {
    addTurn(reply.question, typed);
    show(add(reply.question, make("p")), reply);
  }
  document.title = found.turns.length ? `${titleOf(found)} · qa` : "qa: ask your documents";
}

/** Mark the answers on the page whose sources have changed since. */
async function check() {
  const shown = [...thread.children].filter((item) => item.reply);
  if (!shown.length) return;
  const { markStale } = await import("./stale.js");
  const entries = shown.map((item) => ({ reply: item.reply, element: item.lastElementChild }));
  await markStale(entries, ask).catch(() => {}); // what could not be checked is not marked
}

function begin() {
  draw(newThread());
  remember(null);
  box.focus();
}

clear.addEventListener("click", begin);
document.addEventListener("qa-check", check);

const past = document.getElementById("history");
past.hidden = false;
past.addEventListener("click", async () => {
  reading = null;
  const { openHistory } = await import("./threads.js");
  await openHistory({
    current: () => kept.id,
    open: (found) => {
      closePane();
      remember(found.id);
      draw(found);
      check();
    },
    removed: (found) => {
      if (found.id === kept.id) draw(newThread());
    },
  });
});

document
  .getElementById("thread-tools")
  .append(exportControl("Export the thread", () => [...thread.children].flatMap((item) => item.reply ?? [])));

async function start() {
  box.focus({ preventScroll: true });
  const before = await currentThread();
  if (before?.turns.length && !thread.childElementCount) {
    draw(before);
    check();
  }
  const asked = new URLSearchParams(location.search).get("q");
  if (!asked) return;
  history.replaceState(null, "", "/");
  if ("hold" in composer.dataset) box.value = asked; // a page of another site must not start work
  else ask(asked);
}

start();
