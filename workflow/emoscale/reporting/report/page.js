// Tables that sort, filter and turn pages, and charts that are drawn when they come into view.
"use strict";
(() => {
  const PAGE = 50;
  const locale = "en-GB";
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") made.className = value;
      else if (value !== null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  // ---- tables

  const decoded = (column) =>
    Array.isArray(column) ? column : column.places.map((place) => column.values[place]);
  const isNumber = (form) => form !== "text" && form !== "digest";
  const fixed = (value, digits) =>
    value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const forms = {
    percent: (value) => fixed(100 * value, 1),
    points: (value) => fixed(100 * value, 1),
    "signed points": (value) =>
      (value > 0 ? "+" : value < 0 ? "\u2212" : "") + fixed(Math.abs(100 * value), 1),
    p: (value) => (value < 0.001 ? "< 0.001" : fixed(value, 3)),
    factor: (value) => fixed(value, value === 0 || value >= 10 ? 0 : value < 1 ? 2 : 1),
    decimal: (value) => fixed(value, 2),
    integer: (value) => fixed(value, 0),
    number: (value) =>
      value !== 0 && Math.abs(value) < 0.001
        ? value.toExponential(2)
        : value.toLocaleString(locale, { maximumSignificantDigits: 4 }),
    digest: (value) => String(value).slice(0, 12),
    text: (value) => String(value),
  };
  const written = (value, form) => {
    if (value === null || value === undefined) return "";
    if (isNumber(form)) {
      if (value === Infinity) return "\u221e";
      if (value === -Infinity) return "\u2212\u221e";
      if (typeof value === "number") return forms[form](value).replace("-", "\u2212");
    }
    if (typeof value === "boolean") return value ? "yes" : "no";
    return form === "digest" ? forms.digest(value) : String(value);
  };
  const compared = (one, other) => {
    if (one === null || other === null) return 0;
    if (typeof one === "string" && typeof other === "string")
      return one.localeCompare(other, locale, { numeric: true });
    return one === other ? 0 : one - other; // of two infinities there is no difference
  };
  const csv = (names, columns, rows) => {
    const cell = (value) => {
      const text = value === null ? "" : String(value).replace("Infinity", "inf"); // as polars
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const line = (values) => values.map(cell).join(",");
    return [line(names), ...rows.map((row) => line(names.map((name) => columns[name][row])))].join("\n");
  };
  const offer = (name, text, type) => {
    const address = URL.createObjectURL(new Blob([text], { type }));
    const link = element("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };

  function table(place) {
    const view = JSON.parse(document.getElementById(place.dataset.table).textContent);
    const columns = {};
    for (const [name, column] of Object.entries(view.data)) columns[name] = decoded(column);
    const all = Array.from({ length: view.rows }, (_, row) => row);
    const state = { words: [], sort: null, direction: 1, page: 0, wide: false };
    const hidden = view.columns.some((column) => !column.shown);
    const searched = new Map(); // what a row says, written once
    const said = (row) => {
      if (!searched.has(row)) {
        const parts = view.columns.map((c) => written(columns[c.key][row], c.form));
        searched.set(row, parts.join("\u0000").toLowerCase());
      }
      return searched.get(row);
    };
    const shown = () => view.columns.filter((column) => state.wide || column.shown);
    const ordered = () => {
      const kept = state.words.length
        ? all.filter((row) => state.words.every((word) => said(row).includes(word)))
        : all.slice();
      if (state.sort === null) return kept;
      const values = columns[state.sort];
      return kept.sort((one, other) => {
        const missing = (values[one] === null) - (values[other] === null); // last, either way
        return missing || state.direction * compared(values[one], values[other]) || one - other;
      });
    };

    const filter = element("input", {
      type: "search", placeholder: "Filter rows", "aria-label": `Filter: ${view.key}`,
    });
    const count = element("span", { class: "count", "aria-live": "polite" });
    const wider = element("button", { type: "button", "aria-pressed": "false" }, "All columns");
    const download = element("button", { type: "button" }, "CSV");
    download.title = "All columns of the rows that the filter leaves";
    const tools = element("div", { class: "tools" });
    if (view.rows > 8) tools.append(filter);
    if (hidden) tools.append(wider);
    tools.append(download, count);
    const head = element("tr");
    const body = element("tbody");
    const grid = element("table", {}, element("thead", {}, head), body);
    const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": view.key }, grid);
    const back = element("button", { type: "button" }, "Back");
    const next = element("button", { type: "button" }, "Next");
    const where = element("span");
    const pages = element("div", { class: "pages" }, back, where, next);
    place.querySelector(".inside").append(tools, scroll, pages);

    const writeHead = () => {
      head.replaceChildren(
        ...shown().map((column) => {
          const sorted = state.sort === column.key;
          const button = element("button", { type: "button" }, column.title);
          const notes = [column.meaning, column.ends.length ? "behind it: 95 % interval" : ""];
          button.title = notes.filter(Boolean).join("; ") || column.title;
          const cell = element(
            "th",
            {
              scope: "col",
              class: isNumber(column.form) ? "number" : column.form,
              "data-column": column.key,
              "aria-sort": sorted ? (state.direction > 0 ? "ascending" : "descending") : "none",
            },
            button,
          );
          button.addEventListener("click", () => {
            const first = isNumber(column.form) ? -1 : 1; // of numbers, the largest come first
            if (!sorted) [state.sort, state.direction] = [column.key, first];
            else if (state.direction === first) state.direction = -first;
            else state.sort = null;
            state.page = 0;
            writeHead();
            writeBody();
            head.querySelector(`[data-column="${CSS.escape(column.key)}"] button`).focus();
          });
          return cell;
        }),
      );
    };
    const cellOf = (column, row) => {
      const value = columns[column.key][row];
      const text = written(value, column.form);
      const number = isNumber(column.form);
      const cell = element("td", { class: number ? "number" : column.form });
      if (!number && text.length > 24) cell.classList.add("long");
      if (column.form === "digest") cell.title = String(value);
      if (text === "") cell.append(element("span", { class: "nothing" }, "\u2013"));
      else cell.append(text);
      if (column.ends.length) {
        const [low, high] = column.ends.map((end) => columns[end][row]);
        if (low !== null && high !== null) {
          const ends = `${written(low, column.form)} to ${written(high, column.form)}`;
          cell.append(element("span", { class: "ends" }, ends));
        }
      }
      return cell;
    };
    const writeBody = () => {
      const rows = ordered();
      const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
      state.page = Math.min(state.page, last);
      const first = state.page * PAGE;
      const here = rows.slice(first, first + PAGE);
      body.replaceChildren(
        ...here.map((row) => element("tr", {}, ...shown().map((column) => cellOf(column, row)))),
      );
      const total = view.rows.toLocaleString(locale);
      count.textContent =
        rows.length === view.rows
          ? `${total} ${view.rows === 1 ? "row" : "rows"}`
          : `${rows.length.toLocaleString(locale)} of ${total} rows`;
      pages.hidden = last === 0;
      where.textContent = `${(first + 1).toLocaleString(locale)} to ${(first + here.length).toLocaleString(locale)}`;
      back.disabled = state.page === 0;
      next.disabled = state.page === last;
    };
    filter.addEventListener("input", () => {
      state.words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      state.page = 0;
      writeBody();
    });
    wider.addEventListener("click", () => {
      state.wide = !state.wide;
      wider.textContent = state.wide ? "Fewer columns" : "All columns";
      wider.setAttribute("aria-pressed", String(state.wide));
      writeHead();
      writeBody();
    });
    download.addEventListener("click", () =>
      offer(`${view.key}.csv`, csv(Object.keys(columns), columns, ordered()), "text/csv"),
    );
    for (const [button, step] of [[back, -1], [next, 1]])
      button.addEventListener("click", () => {
        state.page += step;
        writeBody();
        scroll.scrollTop = 0;
      });
    writeHead();
    writeBody();
  }

  // ---- charts

  // Colours are variables of the page's style, so that dark, light and print need no new drawing.
  const CONFIG = {
    background: "transparent",
    font: 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif',
    axis: {
      labelColor: "var(--soft)", titleColor: "var(--soft)", domainColor: "var(--line)",
      tickColor: "var(--line)", gridColor: "var(--faint)", titleFontWeight: 500,
      labelFontSize: 12, titleFontSize: 12,
    },
    legend: { labelColor: "var(--ink)", titleColor: "var(--soft)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 },
    header: { labelColor: "var(--ink)", titleColor: "var(--ink)", labelFontSize: 12 },
    title: { color: "var(--ink)", subtitleColor: "var(--soft)", fontSize: 13, fontWeight: 600 },
    view: { stroke: "var(--line)" },
    rule: { color: "var(--soft)" },
    text: { color: "var(--ink)" },
  };
  const INK = { "#000000": "var(--ink)", "#dcdcdc": "var(--plot-faint)" };
  const inked = (value) => {
    if (typeof value === "string") return INK[value] ?? value;
    if (Array.isArray(value)) return value.map(inked);
    if (value && typeof value === "object")
      return Object.fromEntries(
        Object.entries(value).map(([key, own]) => [key, key === "datasets" ? own : inked(own)]),
      );
    return value;
  };
  const parts = (spec) => spec.concat ?? spec.hconcat ?? spec.vconcat ?? (spec.facet && spec.spec ? [spec.spec] : []);
  const narrowed = (spec, pixels) => {
    const inner = parts(spec);
    if (inner.length) for (const part of inner) narrowed(part, pixels);
    if (typeof spec.width === "number") spec.width = Math.max(120, Math.floor(spec.width - pixels));
  };
  const legendsBelow = (value, columns) => {
    if (Array.isArray(value)) for (const part of value) legendsBelow(part, columns);
    else if (value && typeof value === "object")
      for (const [key, own] of Object.entries(value)) {
        if (key === "datasets" || key === "data") continue;
        if (key === "color" || key === "shape" || key === "fill") {
          if (own && own.field && own.legend !== null) own.legend = { ...own.legend, orient: "bottom", columns };
        } else legendsBelow(own, columns);
      }
  };
  const embed = async (plot, spec) => {
    const made = await vegaEmbed(plot, spec, {
      mode: "vega-lite", renderer: "svg", ast: true, actions: false, config: CONFIG, tooltip: { theme: "custom" },
    });
    return made;
  };

  // A chart is given less room step by step, until it fits: fewer panels beside each other, the
  // legend below, a narrower plot.
  const drawings = new Map(); // of each plot: the room it was drawn for, and how to remove it
  async function draw(plot) {
    const room = plot.clientWidth;
    if (drawings.get(plot)?.room === room || plot.dataset.drawn === "failed") return;
    drawings.get(plot)?.made.finalize();
    const spec = inked(JSON.parse(document.getElementById(plot.dataset.chart).textContent));
    delete spec.config?.axis;
    delete spec.config?.legend;
    let made = await embed(plot, spec);
    const excess = () => plot.querySelector("svg").getBoundingClientRect().width - room;
    let below = 0; // columns of a legend below the plot
    let before = Infinity;
    for (let attempt = 0; attempt < 8 && excess() > 1 && !("rigid" in plot.dataset); attempt += 1) {
      const panels = Math.min(spec.columns ?? 1, spec.concat?.length ?? Infinity);
      if (panels > 1) {
        const used = plot.querySelector("svg").getBoundingClientRect().width / panels;
        spec.columns = Math.max(1, Math.min(panels - 1, Math.floor(room / used)));
      } else if (!below || (below > 1 && excess() >= before)) {
        below = below ? 1 : room < 480 ? 2 : 4;
        legendsBelow(spec, below);
      } else {
        before = excess();
        narrowed(spec, before + 2);
      }
      made.finalize();
      made = await embed(plot, spec);
    }
    drawings.set(plot, { room, made });
    if (plot.dataset.drawn) return;
    plot.dataset.drawn = "yes";
    const save = element("button", { type: "button" }, "SVG");
    save.title = "This figure as a file, to print or to edit";
    save.addEventListener("click", () => offer(`${plot.dataset.chart}.svg`, printed(plot), "image/svg+xml"));
    plot.after(element("div", { class: "figure-tools" }, save));
  }
  const PRINTED = {
    ink: "#16202a", soft: "#55616d", line: "#c4cad0", faint: "#eceff1", "plot-faint": "#d4d8dc",
  };
  const printed = (plot) =>
    new XMLSerializer()
      .serializeToString(plot.querySelector("svg"))
      .replace(/var\(--([a-z-]+)\)/g, (_, name) => PRINTED[name] ?? "#000000");

  for (const place of document.querySelectorAll("[data-table]")) table(place);
  const plots = [...document.querySelectorAll("[data-chart]")];
  let waiting = Promise.resolve(); // one after the other, so that the page stays quick
  const queue = (plot) =>
    (waiting = waiting
      .then(() => draw(plot))
      .catch((error) => {
        plot.dataset.drawn = "failed";
        plot.textContent = `This figure could not be drawn: ${error.message}`;
        console.error(error);
      }));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) {
          seen.unobserve(entry.target);
          queue(entry.target);
        }
    },
    { rootMargin: "600px 0px" },
  );
  for (const plot of plots) seen.observe(plot);
  // What is not in view follows when there is time, so that all is there when it is printed.
  const rest = () => {
    const next = plots.find((plot) => !plot.dataset.drawn);
    if (next) queue(next).then(() => setTimeout(rest, 50));
  };
  setTimeout(rest, 300);
  let resized;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => plots.filter((plot) => plot.dataset.drawn).forEach(queue), 150);
  });
  addEventListener("beforeprint", () => plots.forEach(queue));

  const links = new Map(
    [...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]),
  );
  const current = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const link = links.get(entry.target.id);
        if (!link || !entry.isIntersecting) continue;
        for (const other of links.values()) other.removeAttribute("aria-current");
        link.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  for (const part of document.querySelectorAll("main > section, #top")) current.observe(part);
})();
