// Bring the marked sentence into view, and let "back" return to the thread where it was left.

const cited = document.querySelector("article mark");
if (cited) {
  cited.tabIndex = -1;
  cited.focus({ preventScroll: true });
  cited.scrollIntoView({ block: "center" });
}

const back = document.getElementById("back");
const fromChat = document.referrer && new URL(document.referrer).pathname === "/";
if (back && fromChat && history.length > 1) {
  back.addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}
