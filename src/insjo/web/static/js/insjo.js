// The one script entry of every page. It starts the shell and loads an island's module when the page holds its tag.
import { startAssistant } from "./assistant.js";
import { RequestFailed, readRefusal } from "./core.js";
import { startDialogs } from "./dialogs.js";
import { startPalette } from "./palette.js";
import { startShell } from "./shell.js";
import { adoptToasts, toast } from "./toasts.js";

const ISLANDS = {
  "insjo-sql-editor": () => import("./sql-editor.js"),
  "insjo-grid": () => import("./grid.js"),
  "insjo-sql-page": () => import("./sql-page.js"),
  "insjo-chat": () => import("./chat.js"),
  "insjo-upload": () => import("./upload.js"),
  "insjo-chart": () => import("./chart.js"),
  "insjo-dashboard": () => import("./dashboard.js"),
  "insjo-tree": () => import("./tree.js"),
};

/** @param {ParentNode} within */
function loadIslands(within) {
  for (const [tag, load] of Object.entries(ISLANDS)) {
    if (!customElements.get(tag) && within.querySelector(tag)) load();
  }
}

/** Tells about requests of htmx that failed; what the server said is shown as it is. */
function tellFailures() {
  const tell = (event) => {
    const reply = event.detail?.xhr;
    toast(new RequestFailed(reply?.status ?? 0, readRefusal(reply?.responseText ?? "")).message, "danger");
  };
  document.addEventListener("htmx:responseError", tell);
  document.addEventListener("htmx:sendError", tell);
}

startShell();
startDialogs();
startPalette();
startAssistant();
adoptToasts();
tellFailures();
loadIslands(document);
document.addEventListener("htmx:afterSettle", () => loadIslands(document));
