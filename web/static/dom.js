// What the scripts of the chat page share.

/** Make an element; children are elements or text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

/** Return the response to a request; throw an Error with a message for people. */
export async function fetched(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Error("The server does not answer. Is `qa serve` still running?");
  }
  if (response.ok) return response;
  throw new Error((await said(response)) || `The server replied ${response.status}.`);
}

/** Return what a problem document, or a page about an error, says. */
async function said(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).detail;
  } catch {
    return new DOMParser().parseFromString(text, "text/html").querySelector("main > p")?.textContent;
  }
}

/** Return the response to a body sent as JSON; throw as `fetched` does. */
export function post(path, body) {
  return fetched(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** Return the address of the page that shows a source. */
export function sourcePath(uri) {
  return `/sources/${uri.split("/").map(encodeURIComponent).join("/")}`;
}

/** Return the address of the page that shows a source with a place in it marked. */
export function sourceLink({ uri, start, end }) {
  return `${sourcePath(uri)}?start=${start}&end=${end}`;
}

/** A longer quote makes an address that some programs cut off; its place alone is kept then. */
const LONGEST_QUOTE = 1500;

/** Return the address of a quote, by which it is found again when the source has changed. */
export function quoteLink({ uri, start, end, quote, sha256 }) {
  if (quote.length > LONGEST_QUOTE) return sourceLink({ uri, start, end });
  return `${sourceLink({ uri, start, end })}&${new URLSearchParams({ quote, sha256 })}`;
}

/** Return a text as nodes: spans of it are marked, markup of Markdown is set back. */
export function marked(uri, text, spans) {
  const characters = Array.from(text); // offsets count code points, strings UTF-16 units
  const markup = /\.(md|markdown)$/i.test(uri) ? /(\[\^[^\]\s]+\]|^#+ |\*\*)/m : /$^/;
  const nodes = [];
  const setBack = (part) =>
    part
      .split(markup)
      .forEach((piece, place) => nodes.push(place % 2 ? make("span", { class: "markup" }, piece) : piece));
  let reach = 0;
  for (const [start, end] of spans) {
    setBack(characters.slice(reach, start).join(""));
    nodes.push(make("mark", {}, characters.slice(start, end).join("")));
    reach = end;
  }
  setBack(characters.slice(reach).join(""));
  return nodes;
}

/** Return where the text of a passage begins behind the headings that its place names already. */
export function headingsEnd(passage, characters) {
  const known = new Set([passage.title, ...passage.section]);
  let reach = 0;
  for (let end = 0; (end = characters.indexOf("\n", reach)) >= 0; reach = end + 1) {
    const line = characters.slice(reach, end).join("").trim();
    if (line && !known.has(line.replace(/^#+\s*/, ""))) break;
  }
  return reach;
}
