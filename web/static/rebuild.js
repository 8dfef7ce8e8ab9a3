// The Rebuild button: start a job, show its progress, then its report in words.

import { fetched, make, plural, post } from "./dom.js";
import { refresh } from "./freshness.js";

const JOBS = "/api/v1/index/jobs";
const button = document.getElementById("rebuild");
const panel = document.getElementById("job");
const status = document.getElementById("job-status");
const bar = document.getElementById("job-bar");
const pace = document.getElementById("job-pace");
const cancel = document.getElementById("job-cancel");
const result = document.getElementById("job-result");
const badge = document.getElementById("job-badge");
let cancelling = false;
let waiting = null;
const PHASES = {
  start: "Starting",
  read: "Reading the files",
  split: "Cutting them into passages",
  embed: "Embedding new passages",
};

/** Return the job, or the jobs, that a request replies with; throw as `fetched` does. */
async function request(path, options) {
  return (await fetched(path, options)).json();
}

function duration(seconds) {
  if (seconds < 60) return plural(Math.max(1, Math.round(seconds)), "second");
  return plural(Math.round(seconds / 60), "minute");
}

function phaseOf(job) {
  const ended = job.phase === "embed" && job.done === job.total;
  return ended ? "Writing the index" : (PHASES[job.phase] ?? job.phase);
}

function showProgress(job) {
  const phase = phaseOf(job);
  if (status.textContent !== phase && !cancelling) status.textContent = phase; // said once a phase
  const known = job.total > 0 && job.done < job.total;
  if (known) {
    bar.max = job.total;
    bar.value = job.done;
  } else {
    bar.removeAttribute("value");
  }
  const left = job.eta_s === null ? "" : `, about ${duration(job.eta_s)} left`;
  pace.textContent = known ? `${job.done} of ${job.total}${left}` : "";
}

/** Return the counts that are not 0, in words. */
function counted(counts, names) {
  const found = names.filter((name) => counts[name]).map((name) => `${counts[name]} ${name}`);
  return found.join(", ");
}

function reportOf(job) {
  const { changed, sources, passages, skipped, seconds } = job.report;
  const names = ["added", "changed", "renamed", "removed", "duplicate", "unchanged"];
  const took = `${seconds.total.toFixed(1)} s`;
  const nodes = changed
    ? [
        make("p", {}, `The index is up to date; it took ${took}.`),
        make("p", {}, `Sources: ${counted(sources, names) || "none"}.`),
        make("p", {}, `Passages: ${passages.total}, ${passages.reused} reused, ${passages.embedded} embedded.`),
      ]
    : [make("p", {}, `Nothing had changed; looking took ${took}.`)];
  if (skipped.length) {
    const entries = skipped.map(({ uri, reason }) =>
      make("li", {}, `${uri}: `, make("span", { class: "facts" }, reason)),
    );
    nodes.push(make("p", {}, `${plural(skipped.length, "file")} skipped:`), make("ul", {}, ...entries));
  }
  return nodes;
}

function failed(message) {
  return [make("p", { class: "failed" }, make("strong", {}, "The index was not rebuilt. "), message)];
}

/** Put the controls into an element, or back to where they are at home. */
export function placeTools(element) {
  const tools = document.getElementById("index-tools");
  const held = tools.contains(document.activeElement) ? document.activeElement : waiting;
  (element ?? document.getElementById("index-home")).append(tools);
  const needed = document.querySelector("#trouble [role=alert]") || !panel.hidden || result.hasChildNodes();
  tools.hidden = !element && !(tools.dataset.home && needed);
  waiting = element ? null : held;
  queueMicrotask(() => (waiting = null)); // they come back at once, or the focus is elsewhere
  if (element) held?.focus({ preventScroll: true });
}

/** Say what to do next, at the button that does it. */
export function suggest(message) {
  result.replaceChildren(make("p", {}, message));
}

function showEnd(job) {
  const focused = panel.contains(document.activeElement);
  panel.hidden = true;
  badge.hidden = true;
  button.disabled = false;
  if (focused) button.focus();
  const nodes = {
    done: () => reportOf(job),
    failed: () => failed(job.error),
    cancelled: () => [
      make("p", {}, job.error ? `Too late to cancel: ${job.error}.` : "Cancelled; the index is what it was."),
    ],
  };
  result.replaceChildren(...nodes[job.state]());
  if (job.state !== "failed") refresh().catch(() => {}); // the page is only older than the index
}

function showError(error) {
  panel.hidden = true;
  badge.hidden = true;
  button.disabled = false;
  result.replaceChildren(...failed(error.message));
}

/** Follow a job by asking again and again, where it cannot be streamed. */
async function poll(id) {
  for (;;) {
    const job = await request(`${JOBS}/${id}`);
    if (job.state !== "running") return showEnd(job);
    showProgress(job);
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

function follow(job) {
  button.disabled = true;
  cancelling = false;
  cancel.dataset.job = job.id;
  result.replaceChildren();
  status.textContent = "";
  panel.hidden = false;
  badge.hidden = false;
  showProgress(job);
  const stream = new EventSource(`${JOBS}/${job.id}`);
  stream.addEventListener("progress", (event) => showProgress(JSON.parse(event.data)));
  stream.addEventListener("done", (event) => {
    stream.close();
    showEnd(JSON.parse(event.data));
  });
  stream.addEventListener("error", () => {
    stream.close();
    poll(job.id).catch(showError);
  });
}

button.addEventListener("click", async () => {
  button.disabled = true;
  result.replaceChildren();
  try {
    follow(await (await post("/api/v1/index", {})).json());
    cancel.focus();
  } catch (error) {
    showError(error);
  }
});

cancel.addEventListener("click", async () => {
  cancelling = true; // the button stays as it is, so that the focus does, too
  status.textContent = "Cancelling";
  try {
    await request(`${JOBS}/${cancel.dataset.job}`, { method: "DELETE" });
  } catch (error) {
    result.replaceChildren(...failed(error.message));
  }
});

button.hidden = false;
if (document.querySelector("#trouble [role=alert]")) document.getElementById("index-tools").dataset.home = "yes";
request(JOBS)
  .then(({ jobs }) => jobs[0]?.state === "running" && follow(jobs[0]))
  .catch(() => {}); // the button still says what is wrong when it is pressed
