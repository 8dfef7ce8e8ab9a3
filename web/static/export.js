// Export: an answer, or the thread, as a file in which the server has checked every quote.

import { make, post } from "./dom.js";

const FORMATS = { markdown: "Markdown", json: "JSON", html: "HTML" };
/** Passages that the page shows beside a refusal. */
const RELATED = 3;

/** Return the quotes of a reply with their places. */
export function quotes(reply) {
  return reply.citations.map(({ uri, start, end, quote, sha256 }) => ({ uri, start, end, quote, sha256 }));
}

function given(reply) {
  const { question, interpreted, confidence, generation, sources } = reply;
  const related = reply.answered ? [] : reply.passages.slice(0, RELATED);
  return {
    question,
    interpreted,
    confidence,
    generation,
    sources,
    citations: quotes(reply),
    related: related.map(({ uri, start, end }) => ({ uri, start, end })),
  };
}

/** Hand a file to the browser, which keeps it where it keeps downloads. */
function download(file, name) {
  const address = URL.createObjectURL(file);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function save(format, replies, message) {
  message.className = "facts";
  message.textContent = "Checking the quotes…";
  try {
    const response = await post("/api/v1/evidence", { answers: replies.map(given), format });
    const [, name] = /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition"));
    download(await response.blob(), name);
    message.textContent = `Saved as ${name}.`;
  } catch (error) {
    message.className = "failed";
    message.textContent = `Not exported. ${error.message}`;
  }
}

/** Make the control that exports what `replies()` returns when it is used. */
export function exportControl(label, replies) {
  const message = make("p", { class: "facts", role: "status" });
  const buttons = Object.entries(FORMATS).map(([format, name]) => {
    const button = make("button", { type: "button", class: "quiet" }, name);
    button.addEventListener("click", () => save(format, replies(), message));
    return button;
  });
  return make(
    "details",
    { class: "export" },
    make("summary", {}, label),
    make("div", { class: "formats", role: "group", "aria-label": `${label} as` }, ...buttons),
    message,
  );
}
