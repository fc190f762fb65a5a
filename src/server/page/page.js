// Everything here can be done without it: it follows what changes, filters while one types, and listens to keys.
"use strict";
(() => {
  // Typing rests so long before it is acted on; a look rests so many times as long as it took, and at least so
  // long; whoever was refused is listened to again after so long.
  const TYPED = 120, REST = 2, REST_MIN = 250, AGAIN = 5000;
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
    document.body.toggleAttribute("data-moves", fresh.body.hasAttribute("data-moves"));
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
  // What is heard says only that something changed: then this page is looked at again, never twice at once, and
  // not while nobody sees it.
  const told = document.body.dataset.follow;
  let ear = null, stale = false, looking = false;
  const live = () => say(document.body.hasAttribute("data-moves") ? "live" : "", false);
  const lost = () => say("no answer; trying again", true);
  const refresh = async () => {
    if (looking || going !== "" || !stale) return;
    looking = true;
    stale = false;
    const begun = performance.now();
    try {
      await look(location.href, tag ? { "If-None-Match": tag } : {});
      live();
    } catch (error) {
      if (error.name !== "AbortError") lost();
    }
    const rest = Math.max(REST_MIN, REST * (performance.now() - begun));
    setTimeout(() => {
      looking = false;
      refresh();
    }, rest);
  };
  const hush = () => {
    ear?.close();
    ear = null;
  };
  const listen = () => {
    hush();
    ear = new EventSource(told);
    ear.onopen = live;
    ear.onerror = () => {
      lost();
      if (ear?.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || listen(), AGAIN);
    };
    ear.addEventListener("run", () => {
      stale = true;
      refresh();
    });
  };
  if (told) {
    listen();
    // A hidden page gives its connection back: a browser has only six for a server.
    document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
    addEventListener("pagehide", hush);
    addEventListener("pageshow", (event) => event.persisted && listen());
  }

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
      refresh();
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
      gw: () => location.assign("/workflows"),
      gd: () => location.assign("/dead-letters"),
      gc: () => location.assign("/connections"),
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
  // Whoever comes by a link from elsewhere seems to be nobody, until this very page asks.
  const door = document.querySelector(".door");
  if (door && !document.querySelector(".door .bad")) {
    fetch(door.dataset.to, { method: "HEAD", redirect: "manual" }).then((answer) => answer.ok && location.replace(door.dataset.to));
  }
  dress();
  setInterval(tick, 1000);
})();
