// Follows a page's stream: replaces the parts that changed, counts times and deadlines, and says aloud what became of runs. Without it the pages are whole, and stand still.
"use strict";

(() => {
  const mark = document.querySelector(".live");
  // The server's clock minus this one's: countdowns run against the server's.
  let offset = mark ? Date.parse(mark.dataset.now) - Date.now() : 0;
  let source = null;
  let over = false;

  const parts = ["summary", "timeline", "evidence", "left", "retries", "tallies", "frozen", "running", "recent", "other", "findings", "quota", "trouble"];
  const now = () => Date.now() + offset;

  function said(milliseconds) {
    const seconds = Math.max(0, milliseconds) / 1000;
    return seconds < 60 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
      : seconds < 3600 ? `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
      : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  }

  function tick() {
    for (const element of document.querySelectorAll("[data-since]")) {
      element.textContent = said(now() - Date.parse(element.dataset.since));
    }
    for (const element of document.querySelectorAll("[data-deadline]")) {
      const deadline = Date.parse(element.dataset.deadline);
      const left = deadline - now();
      element.querySelector(".left").textContent = left > 0 ? `${said(left)} left` : `due ${said(-left)} ago`;
      element.querySelector("progress").value = Math.max(0, Math.min(1, left / Math.max(1, deadline - Date.parse(element.dataset.began))));
      element.classList.toggle("late", left <= 0);
    }
  }

  // Which run is in which status, by what the page shows.
  function statuses() {
    return new Map([...document.querySelectorAll("[data-run]")].map(e => [e.dataset.run, [e.dataset.name, e.dataset.status]]));
  }

  function announce(before, after) {
    const news = [...after].filter(([run, [, status]]) => !before.has(run) || before.get(run)[1] !== status).map(([, [name, status]]) => `${name}: ${status}`);
    if (news.length > 0 && news.length <= 5) {
      document.getElementById("announce").textContent = news.join(". ");
    }
  }

  function replace(part, html) {
    const element = document.getElementById(part);
    if (!element || element.innerHTML === html) {
      return;
    }
    const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
    const before = statuses();
    element.innerHTML = html;
    if (focused) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
    tick();
    announce(before, statuses());
  }

  function show(state, word) {
    mark.dataset.state = state;
    mark.querySelector(".word").textContent = word;
  }

  function end() {
    over = true;
    source.close();
    show("over", "Over");
    document.getElementById("cancel")?.close();
    document.querySelectorAll("[data-while-running]").forEach(e => e.remove());
  }

  function follow() {
    if (over || source || document.hidden) {
      return;
    }
    source = new EventSource(mark.dataset.stream);
    source.addEventListener("open", () => show("live", "Live"));
    source.addEventListener("clock", e => { offset = Date.parse(e.data) - Date.now(); });
    source.addEventListener("end", end);
    for (const part of parts) {
      source.addEventListener(part, e => replace(part, e.data));
    }
    source.addEventListener("error", () => {
      if (over) {
        return;
      }
      show("lost", "Reconnecting");
      if (source.readyState === EventSource.CLOSED) {
        // The session has ended, or the server is away: the page itself says which.
        source = null;
        setTimeout(() => fetch(location.href, { method: "GET", redirect: "manual" }).then(a => a.type === "opaqueredirect" ? location.reload() : follow(), follow), 2000);
      }
    });
  }

  // A page that nobody sees holds no connection: browsers have few for each server.
  function rest() {
    if (document.hidden && source) {
      source.close();
      source = null;
      show("rest", "Paused");
    } else {
      follow();
    }
  }

  // Browsers that do not know the attribute yet.
  if (!("command" in HTMLButtonElement.prototype)) {
    for (const button of document.querySelectorAll("[commandfor]")) {
      button.addEventListener("click", () => document.getElementById(button.getAttribute("commandfor")).showModal());
    }
  }

  if (mark?.dataset.stream) {
    follow();
    document.addEventListener("visibilitychange", rest);
  } else {
    mark?.remove();
  }
  if (mark) {
    tick();
    setInterval(tick, 100);
  }
})();
