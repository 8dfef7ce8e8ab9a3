// Threads, kept in this browser alone (IndexedDB). Where it keeps nothing, threads end with the page.

const NAME = "qa";
const STORE = "threads";
const CURRENT = "qa-thread"; // the thread of this tab
const kept = new Map(); // what cannot be stored
let opening = null;

function opened() {
  opening ??= new Promise((resolve) => {
    let request;
    try {
      request = indexedDB.open(NAME, 1);
    } catch {
      return resolve(null);
    }
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => resolve(null);
  });
  return opening;
}

/** Run one request on the threads and return its result, undefined where nothing is stored. */
async function run(mode, action) {
  const database = await opened();
  if (!database) return undefined;
  return new Promise((resolve) => {
    const transaction = database.transaction(STORE, mode);
    const request = action(transaction.objectStore(STORE));
    transaction.commit(); // now: a page that is left at once would take an open transaction with it
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => resolve(undefined);
  });
}

export function newThread() {
  const now = new Date().toISOString();
  return { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, title: "", created: now, updated: now, turns: [] };
}

/** Change a thread in one step, so that what another tab adds stays; `change` gets null for none. */
async function update(id, change) {
  const database = await opened();
  const stored = await new Promise((resolve) => {
    if (!database) return resolve(false);
    const transaction = database.transaction(STORE, "readwrite");
    const threads = transaction.objectStore(STORE);
    const found = threads.get(id);
    found.onsuccess = () => {
      threads.put(change(found.result ?? null));
      transaction.commit(); // now: a page that is left at once would take an open transaction with it
    };
    transaction.oncomplete = () => resolve(true);
    transaction.onerror = transaction.onabort = () => resolve(false);
  });
  if (!stored) kept.set(id, change(kept.get(id) ?? null));
}

/** Add a turn to a thread, in the order in which its questions were asked. */
export function keepTurn({ id, title, created }, turn) {
  return update(id, (thread) => {
    const turns = [...(thread?.turns ?? []), turn].sort((one, other) => (one.asked ?? 0) - (other.asked ?? 0));
    return { id, title, created, ...thread, updated: new Date().toISOString(), turns };
  });
}

export function renameThread(thread, title) {
  return update(thread.id, (stored) => ({ ...(stored ?? thread), title }));
}

export async function deleteThread(id) {
  kept.delete(id);
  await run("readwrite", (threads) => threads.delete(id));
}

/** Return all threads, the last used first. */
export async function allThreads() {
  const stored = (await run("readonly", (threads) => threads.getAll())) ?? [];
  return [...stored, ...kept.values()].sort((one, other) => other.updated.localeCompare(one.updated));
}

export function remember(id) {
  try {
    if (id) sessionStorage.setItem(CURRENT, id);
    else sessionStorage.removeItem(CURRENT);
  } catch {
    // the tab then begins anew when it is loaded again
  }
}

/** Return the thread of this tab, null where there is none. */
export async function currentThread() {
  let id = null;
  try {
    id = sessionStorage.getItem(CURRENT);
  } catch {
    // as above
  }
  if (!id) return null;
  return (await run("readonly", (threads) => threads.get(id))) ?? kept.get(id) ?? null;
}

/** Return what a thread is called. */
export function titleOf(thread) {
  return thread.title || thread.turns[0]?.reply.question || "Empty thread";
}
