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

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** Return the address of the page that shows a source with a place in it marked. */
export function sourceLink({ uri, start, end }) {
  return `/sources/${uri.split("/").map(encodeURIComponent).join("/")}?start=${start}&end=${end}`;
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
