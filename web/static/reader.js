// A source as it is read: the cited sentence in view, a link to keep, headings to jump to.

import { quoteLink, sourcePath } from "./dom.js";

/** Return an address that finds a quote again after the source has changed. */
function permanentLink(content) {
  const { uri, start, end, sha256, quote } = content.dataset;
  if (start === undefined) return location.origin + sourcePath(uri);
  return location.origin + quoteLink({ uri, start, end, quote: JSON.parse(quote), sha256 });
}

function smoothly() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}

/** Bring what is cited into view, and the focus to it. */
export function showCited(content, focus = true) {
  const cited = content.querySelector("#quote, mark:not(.near), rect.cited");
  if (!cited) return;
  cited.scrollIntoView({ block: "center" });
  if (!focus || cited.tagName === "rect") return;
  cited.tabIndex = -1;
  cited.focus({ preventScroll: true });
}

/** Let the reader of a source copy a link, and jump to a heading. */
export function enhance(content) {
  const copy = content.querySelector("#copy-link");
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(permanentLink(content));
    copy.textContent = "Link copied";
  });
  content.querySelectorAll(".outline a").forEach((link) =>
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const heading = content.querySelector(`[id="${link.hash.slice(1)}"]`);
      heading.scrollIntoView({ behavior: smoothly(), block: "start" });
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }),
  );
}
