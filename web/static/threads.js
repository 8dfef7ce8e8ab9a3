// The history panel: find a thread, open, rename, delete or export it.

import { make, plural } from "./dom.js";
import { exportControl } from "./export.js";
import { allThreads, deleteThread, renameThread, titleOf } from "./history.js";
import { openPane } from "./pane.js";

function day(time) {
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

function textOf(thread) {
  const said = thread.turns.flatMap(({ reply }) => [reply.question, ...reply.answer.map(({ plain }) => plain)]);
  return [titleOf(thread), ...said].join("\n").toLowerCase();
}

function quiet(label, name, action) {
  const button = make("button", { type: "button", class: "plain", "aria-label": name }, label);
  button.addEventListener("click", action);
  return button;
}

/** Make the form that renames a thread; it takes the place of its entry's buttons. */
function renaming(thread, done) {
  const field = make("input", { type: "text", value: titleOf(thread), maxlength: "200", "aria-label": "New name" });
  const form = make("form", { class: "rename" }, field, make("button", { class: "quiet" }, "Rename"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await renameThread(thread, field.value.trim());
    done();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    done();
  });
  setTimeout(() => field.select());
  return form;
}

/** Make the button that deletes at the second press, so that nothing is lost by a slip. */
function deleting(title, action) {
  const button = quiet("Delete", `Delete ${title}`, () => {
    if (button.dataset.sure) return action();
    button.dataset.sure = "yes";
    button.textContent = "Delete for good?";
    button.setAttribute("aria-label", `Delete for good? ${title}`);
  });
  return button;
}

function entry(thread, { current, open, removed, redraw }) {
  const title = titleOf(thread);
  const opener = make("button", { type: "button", class: "plain title", dir: "auto" }, title);
  if (current) opener.setAttribute("aria-current", "true");
  opener.addEventListener("click", () => open(thread));
  const item = make("li", { "data-id": thread.id });
  const tools = make(
    "div",
    { class: "actions" },
    quiet("Rename", `Rename ${title}`, () => tools.replaceWith(renaming(thread, () => redraw(thread.id)))),
    deleting(title, async () => {
      const next = item.nextElementSibling ?? item.previousElementSibling;
      await deleteThread(thread.id);
      removed(thread);
      redraw(next?.dataset.id);
    }),
    exportControl("Export", () => thread.turns.map(({ reply }) => reply)),
  );
  item.append(
    opener,
    make("p", { class: "facts" }, `${plural(thread.turns.length, "question")} · ${day(thread.updated)}`),
    tools,
  );
  return item;
}

/** Open the panel; `open` shows a thread, `removed` hears of one that was deleted. */
export async function openHistory({ current, open, removed }) {
  const find = make("input", { type: "search", placeholder: "Find in all threads", "aria-label": "Find in all threads" });
  const list = make("ul", { class: "threads" });
  const none = make("p", { class: "facts", role: "status" });
  const draw = async () => {
    const threads = (await allThreads()).filter((thread) => thread.turns.length);
    const wanted = find.value.trim().toLowerCase();
    const fitting = threads.filter((thread) => textOf(thread).includes(wanted));
    list.replaceChildren(
      ...fitting.map((thread) => entry(thread, { current: thread.id === current(), open, removed, redraw })),
    );
    none.textContent = fitting.length ? "" : threads.length ? "No thread has this." : "What you ask is kept here.";
  };
  /** Draw anew, and give the focus to an entry, or to the search field. */
  const redraw = async (id) => {
    await draw();
    const item = [...list.children].find((entry) => entry.dataset.id === id);
    (item?.querySelector(".title") ?? find).focus();
  };
  find.addEventListener("input", draw);
  await draw();
  openPane("History", [
    make("p", { class: "facts" }, "Kept in this browser, and nowhere else."),
    find,
    none,
    list,
  ]);
}
