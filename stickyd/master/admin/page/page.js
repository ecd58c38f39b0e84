// Keeps the live page current: one view a second, from /events. Every text becomes the text of a
// node, never markup. The elements are those of html.py.
"use strict";

(() => {
  const AGAIN = 10000; // Milliseconds until it is tried again where the browser does not.
  const SILENT = 5000; // Milliseconds without a view after which the figures are old.
  const POINTS = 60;
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);
  const main = at("main");
  const trends = new Map();
  const paused = at("pause");
  let source = null;
  let last = 0;
  let drawn = "";

  function put(node, text) {
    if (node.textContent !== text) {
      node.textContent = text;
    }
  }

  function put_class(node, name) {
    if ((node.getAttribute("class") || "") !== name) {
      node.setAttribute("class", name);
    }
  }

  function add(parent, tag, text, attributes) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      node.setAttribute(name, value);
    }
    if (text) {
      node.textContent = text;
    }
    parent.append(node);
    return node;
  }

  function add_svg(parent, tag, attributes) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
      node.setAttribute(name, value);
    }
    parent.append(node);
    return node;
  }

  // ---- figures

  function figure(parent, one) {
    let group = parent.querySelector(`[data-key="${CSS.escape(one.key)}"]`);
    if (!group) {
      group = add(parent, "div", "", { "data-key": one.key });
      add(group, "dt", one.label);
      add(group, "dd", "", { class: "value" });
      add(group, "dd", "", { class: "note" });
    }
    put(group.querySelector(".value"), one.value);
    put(group.querySelector(".note"), one.note);
    if (one.trend !== null) {
      const points = trends.get(one.key) || [];
      points.push(one.trend);
      points.splice(0, points.length - POINTS);
      trends.set(one.key, points);
      trend(group, points);
    }
  }

  function trend(group, points) {
    let picture = group.querySelector("svg");
    if (!picture) {
      picture = add_svg(group, "svg", { viewBox: "0 0 59 20", preserveAspectRatio: "none", "aria-hidden": "true" });
      add_svg(picture, "polyline", { "vector-effect": "non-scaling-stroke" });
    }
    const most = Math.max(...points, 1);
    const first = POINTS - points.length;
    const line = points.map((value, i) => `${first + i},${(19 - (18 * value) / most).toFixed(1)}`);
    picture.firstChild.setAttribute("points", line.join(" "));
  }

  // ---- notices and events

  function notices(list) {
    const parent = at("notices");
    while (parent.children.length > list.length) {
      parent.lastElementChild.remove();
    }
    list.forEach((one, i) => {
      const item = parent.children[i] || add(parent, "li");
      put_class(item, one.tone);
      const text = one.option ? `${one.text} ` : one.text;
      if (item.textContent !== text + one.option) {
        item.textContent = text;
        if (one.option) {
          add(item, "code", one.option);
        }
      }
    });
  }

  function events(list) {
    const parent = at("events");
    const newest = parent.firstElementChild ? Number(parent.firstElementChild.dataset.number) : 0;
    // A daemon that was restarted counts anew.
    if (!list.length || list[0].number < newest) {
      parent.replaceChildren();
    }
    for (const one of list.filter((each) => each.number > newest || !parent.children.length).reverse()) {
      const item = document.createElement("li");
      item.dataset.number = one.number;
      put_class(item, one.tone);
      add(item, "time", one.time);
      add(item, "span", one.text);
      parent.prepend(item);
    }
    while (parent.children.length > list.length) {
      parent.lastElementChild.remove();
    }
  }

  // ---- tables

  function shape(table) {
    return JSON.stringify([table.columns, table.groups.map((g) => [g.label, g.rows.map((r) => [r.key, r.label])])]);
  }

  function build(table) {
    const element = at(table.key).querySelector("table");
    const head = document.createElement("tr");
    add(head, table.corner ? "th" : "td", table.corner);
    for (const column of table.columns) {
      add(head, "th", column, { scope: "col" });
    }
    element.tHead.replaceChildren(head);
    for (const body of [...element.tBodies]) {
      body.remove();
    }
    put(element.caption.firstElementChild, table.caption);
    for (const group of table.groups) {
      const body = add(element, "tbody");
      if (group.label) {
        const line = add(body, "tr", "", { class: "group" });
        const heading = add(line, "th", "", { scope: "rowgroup", colspan: table.columns.length + 1 });
        add(heading, "span", group.label);
      }
      for (const row of group.rows) {
        const line = add(body, "tr", "", { "data-key": row.key });
        add(line, "th", row.label, { scope: "row" });
        for (const _ of row.cells) {
          add(add(line, "td"), "span");
        }
      }
    }
    element.dataset.shape = shape(table);
  }

  function cell(element, value) {
    const [text, tone, bar] = typeof value === "string" ? [value, "", -1] : value;
    put(element.firstElementChild, text);
    put_class(element, tone);
    let picture = element.querySelector("svg");
    if (bar >= 0 && !picture) {
      picture = add_svg(element, "svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
      add_svg(picture, "rect", { height: "4" });
    }
    if (picture) {
      picture.firstElementChild.setAttribute("width", Math.max(bar, 0));
    }
  }

  function fill(table) {
    const element = at(table.key).querySelector("table");
    if (element.dataset.shape !== shape(table)) {
      build(table);
    }
    const lines = element.querySelectorAll("tbody > tr:not(.group)");
    let number = 0;
    for (const group of table.groups) {
      for (const row of group.rows) {
        const cells = lines[number++].querySelectorAll("td");
        row.cells.forEach((value, i) => cell(cells[i], value));
      }
    }
  }

  // ---- the picture: slots, and an arc for the moves of the last second between two

  const TOP = 60;
  const HEIGHT = 40;

  // To the right above the slots, to the left below them.
  function arc(from, to, shift, step) {
    const right = to > from;
    const y = right ? TOP : TOP + HEIGHT;
    const reach = 22 + 46 * Math.min(1, Math.abs(to - from) / (step * 4));
    const far = right ? y - reach : y + reach;
    const [a, b] = right ? [from + shift, to - shift] : [from - shift, to + shift];
    return `M ${a} ${y} C ${a} ${far} ${b} ${far} ${b} ${y}`;
  }

  function flow(picture) {
    const parent = at("flow");
    const count = picture.slots.length;
    parent.hidden = count < 2;
    const width = Math.max(parent.clientWidth - 24, 200);
    const now = JSON.stringify([picture, width]);
    if (now === drawn || count < 2) {
      return;
    }
    drawn = now;
    const step = width / count;
    const places = new Map(picture.slots.map(([number], i) => [number, (i + 0.5) * step]));
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${2 * TOP + HEIGHT}`);
    const box = Math.min(120, step - 8);
    const most = Math.max(1, ...picture.moves.map((move) => move[2]));
    for (const [from, to, number] of picture.moves) {
      if (places.has(from) && places.has(to)) {
        add_svg(svg, "path", {
          class: to > from ? "right" : "left",
          d: arc(places.get(from), places.get(to), box / 5, step),
          "stroke-width": (1.5 + (4.5 * number) / most).toFixed(1),
        });
      }
    }
    for (const [number, open, tone] of picture.slots) {
      const x = places.get(number);
      add_svg(svg, "rect", { class: tone, x: x - box / 2, y: TOP, width: box, height: HEIGHT, rx: 6 });
      const wide = box > 52;
      add_svg(svg, "text", { x, y: TOP + 17 }).textContent = wide ? `Slot ${number}` : number;
      const line = { class: "small", x, y: TOP + 33 };
      add_svg(svg, "text", line).textContent = wide ? `${open} open` : open;
    }
    const legend = document.createElement("p");
    legend.textContent = "Moves of the last second: above to the right, below to the left.";
    parent.replaceChildren(svg, legend);
  }

  // ---- views

  function show(view) {
    if (view.assets !== document.documentElement.dataset.assets) {
      // The daemon has another version of this page.
      location.reload();
      return;
    }
    put(at("status"), view.status);
    put_class(at("status"), view.tone);
    const title = `${view.status} – stickyd`;
    if (document.title !== title) {
      document.title = title;
    }
    put(at("about"), view.about);
    put(at("time"), view.time);
    notices(view.notices);
    view.figures.forEach((one) => figure(at("figures"), one));
    view.tables.forEach(fill);
    events(view.events);
    flow(view.flow);
  }

  // ---- the stream

  function linked(text, tone) {
    put(at("link"), text);
    put_class(at("link"), tone);
    main.classList.toggle("old", tone === "bad");
  }

  function connect() {
    source = new EventSource("events");
    source.onmessage = (message) => {
      last = Date.now();
      if (paused.getAttribute("aria-pressed") === "false") {
        show(JSON.parse(message.data));
        linked("live", "good");
      }
    };
    source.onerror = () => {
      linked("not connected, trying again", "bad");
      // The browser connects anew by itself unless it was refused.
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(connect, AGAIN);
      }
    };
  }

  paused.hidden = false;
  paused.addEventListener("click", () => {
    const stop = paused.getAttribute("aria-pressed") === "false";
    paused.setAttribute("aria-pressed", String(stop));
    main.classList.toggle("paused", stop);
    linked(stop ? "paused" : "waiting", "");
  });
  setInterval(() => {
    if (last && Date.now() - last > SILENT && source.readyState === EventSource.OPEN) {
      linked("no news", "bad");
    }
  }, SILENT);
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
  connect();
})();
