// The page of a source on its own: "back" returns to the thread where it was left.

import { enhance, showCited } from "./reader.js";

const content = document.getElementById("content");
enhance(content);
showCited(content);

const back = document.getElementById("back");
const fromChat = document.referrer && new URL(document.referrer).pathname === "/";
if (back && fromChat && history.length > 1) {
  back.addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}
