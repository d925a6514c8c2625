// Replaces the figures of an open page when the log of its book has grown.
"use strict";

const RETRY_MILLISECONDS = 1000;
const status = document.getElementById("live");
let wanted = 0;
let busy = false;

const shown = () => Number(document.querySelector("[data-position]").dataset.position);

function replace(page) {
  const main = document.getElementById("main");
  const open = [...main.querySelectorAll("details[open]")].map((item) => item.id);
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  const links = [...main.querySelectorAll("a, summary")];
  const place = links.indexOf(focused);
  main.replaceChildren(...page.getElementById("main").childNodes);
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  if (place >= 0) main.querySelectorAll("a, summary")[place]?.focus({ preventScroll: true });
}

async function update() {
  if (busy || document.hidden || wanted <= shown()) return;
  busy = true;
  const asked = wanted;
  const address = new URL(location.href);
  address.searchParams.set("min_position", asked);
  let rest = RETRY_MILLISECONDS;
  try {
    const answer = await fetch(address);
    if (answer.ok) {
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      status.textContent = `Live: position ${shown().toLocaleString("en")}`;
      if (shown() >= asked) rest = 0;
    } else {
      status.textContent = "Behind: the answer is not ready";
    }
  } catch {
    status.textContent = "Not connected";
  }
  setTimeout(() => {
    busy = false;
    update();
  }, rest);
}

const source = new EventSource(`${status.dataset.stream}?after=${shown()}`);
source.addEventListener("open", () => { status.textContent = "Live"; });
source.addEventListener("error", () => { status.textContent = "Not connected"; });
source.addEventListener("position", (event) => {
  wanted = Math.max(wanted, Number(event.data));
  update();
});
document.addEventListener("visibilitychange", update);
