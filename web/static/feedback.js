// Feedback: a thumb up or down under an answer, with a note, kept on the machine of the server.

import { make, post } from "./dom.js";
import { quotes } from "./export.js";

const LONGEST_NOTE = 2000;
const SVG = "http://www.w3.org/2000/svg";
const THUMB = "M2 10h4v11H2zM8 10l4-8c2 0 3 1.2 3 3l-1 5h6a2 2 0 0 1 2 2.4l-1.6 7a2 2 0 0 1-2 1.6H8z";

function thumb(verdict, label) {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", THUMB);
  icon.append(path);
  const button = make(
    "button",
    { type: "button", class: `thumb ${verdict}`, "aria-label": label, "aria-pressed": "false", title: label },
    icon,
  );
  button.dataset.verdict = verdict;
  return button;
}

/** Make the control that says of a reply whether it was good; it sends nothing off the machine. */
export function feedbackControl(reply) {
  const thumbs = [thumb("good", "Good answer"), thumb("bad", "Bad answer")];
  const note = make("textarea", { rows: "2", maxlength: String(LONGEST_NOTE) });
  const form = make(
    "form",
    { class: "note" },
    make("label", {}, "Note (optional)", note),
    make("button", { class: "quiet" }, "Keep the note"),
  );
  const message = make("p", { class: "facts", role: "status" });
  form.hidden = true;

  const press = (verdict) =>
    thumbs.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict)));
  const pressed = () => thumbs.find((button) => button.getAttribute("aria-pressed") === "true")?.dataset.verdict;

  /** Keep a verdict with the note; if that fails, the thumbs say what was kept before. */
  async function keep(verdict) {
    const before = pressed();
    form.dataset.verdict = verdict;
    press(verdict);
    form.hidden = false;
    const { question, interpreted, generation } = reply;
    try {
      await post("/api/v1/feedback", {
        question,
        interpreted,
        generation,
        citations: quotes(reply),
        verdict,
        note: note.value,
      });
      message.className = "facts";
      message.textContent = note.value ? "Kept on this machine, with the note." : "Kept on this machine.";
    } catch (error) {
      press(before);
      message.className = "failed";
      message.textContent = `Not kept. ${error.message}`;
    }
  }

  thumbs.forEach((button) => button.addEventListener("click", () => keep(button.dataset.verdict)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep(form.dataset.verdict);
  });
  return make(
    "div",
    { class: "feedback", role: "group", "aria-label": "Was this a good answer?" },
    ...thumbs,
    form,
    message,
  );
}
