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
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The server replied ${response.status}.`);
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
