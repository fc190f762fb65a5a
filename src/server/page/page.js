// Everything here can be done without it: it follows what changes, filters while one types, and listens to keys.
"use strict";
(() => {
  const PERIOD = 1000, PERIOD_HIDDEN = 15000, TYPED = 120;
  const pulse = document.getElementById("pulse");
  let tag = null, asking = null, going = "";

  const spoken = (ms) => {
    const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60);
    return m < 1 ? `${s} s` : h < 1 ? `${m} min ${s % 60} s` : `${h} h ${m % 60} min`;
  };
  const tick = () => document.querySelectorAll("[data-since]").forEach((place) => {
    place.textContent = spoken(Math.max(0, Date.now() - Date.parse(place.dataset.since)));
  });

  // Puts the parts of another page that follow the run into this one. Where somebody types, or has opened
  // something, nothing moves under their hands.
  const take = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const place of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(place.id);
      if (!next || next.innerHTML === place.dataset.was || busy(place)) continue;
      if (place.dataset.was === undefined && next.innerHTML === place.innerHTML) continue;
      const focused = place.contains(document.activeElement) && document.activeElement.getAttribute("href");
      const marked = at >= 0 && rows()[at] && place.contains(rows()[at]) ? at : -1;
      place.dataset.was = next.innerHTML;
      place.replaceChildren(...document.adoptNode(next).childNodes);
      if (focused) place.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      if (marked >= 0) mark(marked, false);
    }
    document.body.toggleAttribute("data-follow", fresh.body.hasAttribute("data-follow"));
    document.title = fresh.title;
    dress();
  };
  const busy = (place) =>
    place.querySelector("details[open]") ||
    (place.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));

  const look = async (path, headers) => {
    asking?.abort();
    const mine = (asking = new AbortController());
    const answer = await fetch(path, { headers, signal: mine.signal, redirect: "error" });
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(answer.status);
    tag = answer.headers.get("etag");
    take(await answer.text());
  };
  const say = (word, lost) => {
    pulse.hidden = !word;
    pulse.textContent = word;
    pulse.classList.toggle("lost", lost);
  };
  const follow = async () => {
    if (document.body.hasAttribute("data-follow") && going === "") {
      try {
        await look(location.href, tag ? { "If-None-Match": tag } : {});
        say(document.body.hasAttribute("data-follow") ? "live" : "", false);
      } catch (error) {
        if (error.name !== "AbortError") say("no answer; trying again", true);
      }
    }
    setTimeout(follow, document.hidden ? PERIOD_HIDDEN : PERIOD);
  };

  // A form that filters answers while one types.
  const narrow = async (form) => {
    const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    const path = form.getAttribute("action") + (fields.size ? `?${fields}` : "");
    going = path;
    try {
      await look(path, {});
      history.replaceState(null, "", path);
      mark(-1, false);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(path);
    } finally {
      if (going === path) going = "";
    }
  };
  document.querySelectorAll("form[data-instant]").forEach((form) => {
    let waiting = 0;
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(narrow, TYPED, form);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(waiting);
      narrow(form);
    });
  });

  // Rows.
  let at = -1;
  const rows = () => [...document.querySelectorAll("tr[data-href]")];
  const mark = (next, scroll) => {
    const all = rows();
    all.forEach((row) => row.classList.remove("here"));
    at = Math.min(next, all.length - 1);
    if (at < 0) return;
    all[at].classList.add("here");
    if (scroll) all[at].scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard?.writeText(copy.dataset.copy).then(() => (copy.textContent = "Copied"));
      return;
    }
    const row = event.target.closest("tr[data-href]");
    if (!row || event.target.closest("a, button, input, form") || String(getSelection())) return;
    location.assign(row.dataset.href);
  });

  // Keys.
  let before = "";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const key = before + event.key;
    before = event.key === "g" ? "g" : "";
    const open = (selector) => document.querySelector(selector)?.click();
    const does = {
      "/": () => document.querySelector("[data-search]")?.focus(),
      j: () => mark(at + 1, true),
      k: () => mark(Math.max(at - 1, 0), true),
      p: () => open("[data-plan]"),
      "?": () => {
        const keys = document.getElementById("keys");
        keys.open = !keys.open;
        keys.scrollIntoView({ block: "nearest" });
      },
      gr: () => location.assign("/"),
      gd: () => location.assign("/dead-letters"),
    };
    if (key === "Enter" && at >= 0 && event.target === document.body) does.Enter = () => location.assign(rows()[at].dataset.href);
    if (/^[1-9]$/.test(key)) does[key] = () => document.querySelectorAll(".tabs a")[key - 1]?.click();
    if (does[key]) {
      event.preventDefault();
      does[key]();
    }
  });

  const dress = () => {
    if (navigator.clipboard) document.querySelectorAll(".copy[hidden]").forEach((button) => (button.hidden = false));
    tick();
  };
  dress();
  setInterval(tick, 1000);
  setTimeout(follow, PERIOD);
})();
