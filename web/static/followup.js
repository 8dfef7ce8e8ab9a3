// Follow-up questions: what the thread asked before, and how a question was understood.

import { make } from "./dom.js";

const MOST_TURNS = Number(document.getElementById("composer").dataset.turns); // that the server takes
let turns = [];

/** Add a question to the thread; one asked as typed begins a new topic. */
export function addTurn(question, typed = false) {
  if (typed) turns = [];
  const turn = { question };
  turns.push(turn);
  return turn;
}

/** Take a question that got no reply out of the thread. */
export function dropTurn(turn) {
  turns = turns.filter((other) => other !== turn);
}

export function forgetTurns() {
  turns = [];
}

/** Return the turns before one, as the JSON interface wants them. */
export function turnsBefore(turn) {
  const place = turns.indexOf(turn);
  return turns.slice(Math.max(0, place - MOST_TURNS), place);
}

/** Say what was searched, with a way to search the words as typed; null where that is the same. */
export function searchedFor(reply, askAsTyped) {
  const first = turns.length < 2; // what differs then is the syntax, which the chips show
  if (first || reply.interpreted === reply.question.trim()) return null;
  const name = `Ask as typed: ${reply.question}`; // begins with what is seen
  const button = make("button", { type: "button", class: "quiet", "aria-label": name }, "Ask as typed");
  button.addEventListener("click", askAsTyped);
  return make("p", { class: "searched" }, make("span", {}, `Searched for: ${reply.interpreted}`), button);
}
