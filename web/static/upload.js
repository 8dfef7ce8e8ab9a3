// Adding files to the sources by dropping or choosing them, and deleting those again.

import { fetched, make } from "./dom.js";

const HEADERS = { "X-QA-Upload": "1" };
const address = (name) => `/api/v1/uploads/${encodeURIComponent(name)}`;

/** Send a file; resolve when it is kept, reject with the reason. Tells how much has gone out. */
function send(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing while it sends
    request.open("PUT", address(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-QA-Upload", HEADERS["X-QA-Upload"]);
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(loaded, total));
    request.addEventListener("load", () => {
      let reply = {};
      try {
        reply = JSON.parse(request.responseText);
      } catch {
        // the status says enough
      }
      if (request.status === 201) resolve(reply);
      else reject(new Error(reply.detail ?? `The server replied ${request.status}.`));
    });
    request.addEventListener("error", () => reject(new Error("The server does not answer.")));
    request.send(file);
  });
}

async function add(file, list, mostMB) {
  const bar = make("progress", { max: "1", value: "0", "aria-label": `Sending ${file.name}` });
  const state = make("span", { class: "facts" }, "");
  list.append(make("li", {}, make("span", { dir: "auto" }, file.name), bar, state));
  const end = (text, failed) => {
    bar.remove();
    state.className = failed ? "failed" : "facts";
    state.textContent = text;
  };
  if (file.size > mostMB * 1024 * 1024) return end(`Not taken: larger than ${mostMB} MB.`, true);
  try {
    const reply = await send(file, (loaded, total) => {
      bar.max = total;
      bar.value = loaded;
      if (loaded === total) state.textContent = "Being read…";
    });
    end(`Kept as ${reply.uri}.`, false);
    return true;
  } catch (error) {
    return end(error.message, true);
  }
}

/** Make the panel take files; `changed` runs when the corpus is no longer what was indexed. */
export function enhanceUploads(content, changed) {
  const drop = content.querySelector("#drop");
  if (!drop) return;
  const list = content.querySelector("#uploaded");
  const field = content.querySelector("#files");
  const take = async (files) => {
    let taken = 0;
    for (const file of files) taken += (await add(file, list, Number(drop.dataset.mostMb))) ? 1 : 0;
    if (taken) changed("To ask what was added, rebuild the index.");
  };
  drop.hidden = false;
  content.querySelector("#choose").addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    take([...field.files]);
    field.value = "";
  });
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
  content.querySelectorAll(".delete").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => remove(button, changed));
  });
}

/** Delete a file at the second press, so that none is lost by a slip. */
async function remove(button, changed) {
  if (!button.dataset.sure) {
    button.dataset.sure = "yes";
    button.textContent = "Delete for good?";
    return;
  }
  try {
    await fetched(address(button.dataset.name), { method: "DELETE", headers: HEADERS });
    button.replaceWith(make("span", { class: "facts" }, "Deleted"));
    changed("Until the index is rebuilt, what was deleted still answers.");
  } catch (error) {
    button.textContent = error.message;
  }
}
