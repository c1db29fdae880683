// Tables that are sorted, filtered and paged, and charts that are drawn when they come into view.
"use strict";
(() => {
  const PAGE_ROWS = 50;
  const LOCALE = "en-GB";
  const createElement = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") element.className = value;
      else if (value !== null) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };

  // ---- tables

  const decodeColumn = (column) =>
    Array.isArray(column) ? column : column.indices.map((index) => column.values[index]);
  const isNumeric = (format) => format !== "text" && format !== "digest";
  const toFixed = (value, digits) =>
    value.toLocaleString(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const formatters = {
    percent: (value) => toFixed(100 * value, 1),
    points: (value) => toFixed(100 * value, 1),
    "signed points": (value) =>
      (value > 0 ? "+" : value < 0 ? "\u2212" : "") + toFixed(Math.abs(100 * value), 1),
    p: (value) => (value < 0.001 ? "< 0.001" : toFixed(value, 3)),
    factor: (value) => toFixed(value, value === 0 || value >= 10 ? 0 : value < 1 ? 2 : 1),
    decimal: (value) => toFixed(value, 2),
    integer: (value) => toFixed(value, 0),
    number: (value) =>
      value !== 0 && Math.abs(value) < 0.001
        ? value.toExponential(2)
        : value.toLocaleString(LOCALE, { maximumSignificantDigits: 4 }),
    digest: (value) => String(value).slice(0, 12),
    text: (value) => String(value),
  };
  const formatValue = (value, format) => {
    if (value === null || value === undefined) return "";
    if (isNumeric(format)) {
      if (value === Infinity) return "\u221e";
      if (value === -Infinity) return "\u2212\u221e";
      if (typeof value === "number") return formatters[format](value).replace("-", "\u2212");
    }
    if (typeof value === "boolean") return value ? "yes" : "no";
    return format === "digest" ? formatters.digest(value) : String(value);
  };
  const compareValues = (left, right) => {
    if (left === null || right === null) return 0;
    if (typeof left === "string" && typeof right === "string")
      return left.localeCompare(right, LOCALE, { numeric: true });
    return left === right ? 0 : left - right; // Infinity - Infinity would be NaN
  };
  const toCsv = (names, columns, rows) => {
    const cell = (value) => {
      const text = value === null ? "" : String(value).replace("Infinity", "inf"); // as in polars
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const line = (values) => values.map(cell).join(",");
    return [line(names), ...rows.map((row) => line(names.map((name) => columns[name][row])))].join("\n");
  };
  const download = (name, text, type) => {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const link = createElement("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  function createTable(container) {
    const view = JSON.parse(document.getElementById(container.dataset.table).textContent);
    const columns = {};
    for (const [name, column] of Object.entries(view.data)) columns[name] = decodeColumn(column);
    const allRows = Array.from({ length: view.rows }, (_, row) => row);
    const state = { filterWords: [], sortColumn: null, direction: 1, page: 0, allColumns: false };
    const hasHiddenColumns = view.columns.some((column) => !column.visible);
    const searchTexts = new Map(); // lower-case text of each row, computed once
    const searchText = (row) => {
      if (!searchTexts.has(row)) {
        const texts = view.columns.map((column) => formatValue(columns[column.key][row], column.format));
        searchTexts.set(row, texts.join("\u0000").toLowerCase());
      }
      return searchTexts.get(row);
    };
    const visibleColumns = () => view.columns.filter((column) => state.allColumns || column.visible);
    const sortedRows = () => {
      const rows = state.filterWords.length
        ? allRows.filter((row) => state.filterWords.every((word) => searchText(row).includes(word)))
        : allRows.slice();
      if (state.sortColumn === null) return rows;
      const values = columns[state.sortColumn];
      return rows.sort((left, right) => {
        const missing = (values[left] === null) - (values[right] === null); // always last
        return missing || state.direction * compareValues(values[left], values[right]) || left - right;
      });
    };

    const filter = createElement("input", {
      type: "search", placeholder: "Filter rows", "aria-label": `Filter: ${view.key}`,
    });
    const count = createElement("span", { class: "count", "aria-live": "polite" });
    const columnsButton = createElement("button", { type: "button", "aria-pressed": "false" }, "All columns");
    const csvButton = createElement("button", { type: "button" }, "CSV");
    csvButton.title = "Download the filtered rows with all columns";
    const tools = createElement("div", { class: "tools" });
    if (view.rows > 8) tools.append(filter);
    if (hasHiddenColumns) tools.append(columnsButton);
    tools.append(csvButton, count);
    const head = createElement("tr");
    const body = createElement("tbody");
    const table = createElement("table", {}, createElement("thead", {}, head), body);
    const scroll = createElement(
      "div", { class: "scroll", tabindex: "0", role: "region", "aria-label": view.key }, table,
    );
    const previousButton = createElement("button", { type: "button" }, "Previous");
    const nextButton = createElement("button", { type: "button" }, "Next");
    const range = createElement("span");
    const pages = createElement("div", { class: "pages" }, previousButton, range, nextButton);
    container.querySelector(".content").append(tools, scroll, pages);

    const renderHead = () => {
      head.replaceChildren(
        ...visibleColumns().map((column) => {
          const sorted = state.sortColumn === column.key;
          const button = createElement("button", { type: "button" }, column.title);
          const notes = [column.meaning, column.interval.length ? "with 95 % confidence interval" : ""];
          button.title = notes.filter(Boolean).join("; ") || column.title;
          const cell = createElement(
            "th",
            {
              scope: "col",
              class: isNumeric(column.format) ? "number" : column.format,
              "data-column": column.key,
              "aria-sort": sorted ? (state.direction > 0 ? "ascending" : "descending") : "none",
            },
            button,
          );
          button.addEventListener("click", () => {
            const firstDirection = isNumeric(column.format) ? -1 : 1; // the largest numbers first
            if (!sorted) [state.sortColumn, state.direction] = [column.key, firstDirection];
            else if (state.direction === firstDirection) state.direction = -firstDirection;
            else state.sortColumn = null;
            state.page = 0;
            renderHead();
            renderBody();
            head.querySelector(`[data-column="${CSS.escape(column.key)}"] button`).focus();
          });
          return cell;
        }),
      );
    };
    const createCell = (column, row) => {
      const value = columns[column.key][row];
      const text = formatValue(value, column.format);
      const numeric = isNumeric(column.format);
      const cell = createElement("td", { class: numeric ? "number" : column.format });
      if (!numeric && text.length > 24) cell.classList.add("long");
      if (column.format === "digest") cell.title = String(value);
      if (text === "") cell.append(createElement("span", { class: "missing" }, "\u2013"));
      else cell.append(text);
      if (column.interval.length) {
        const [low, high] = column.interval.map((end) => columns[end][row]);
        if (low !== null && high !== null) {
          const interval = `${formatValue(low, column.format)} to ${formatValue(high, column.format)}`;
          cell.append(createElement("span", { class: "interval" }, interval));
        }
      }
      return cell;
    };
    const renderBody = () => {
      const rows = sortedRows();
      const lastPage = Math.max(0, Math.ceil(rows.length / PAGE_ROWS) - 1);
      state.page = Math.min(state.page, lastPage);
      const start = state.page * PAGE_ROWS;
      const pageRows = rows.slice(start, start + PAGE_ROWS);
      body.replaceChildren(
        ...pageRows.map((row) =>
          createElement("tr", {}, ...visibleColumns().map((column) => createCell(column, row))),
        ),
      );
      const total = view.rows.toLocaleString(LOCALE);
      count.textContent =
        rows.length === view.rows
          ? `${total} ${view.rows === 1 ? "row" : "rows"}`
          : `${rows.length.toLocaleString(LOCALE)} of ${total} rows`;
      pages.hidden = lastPage === 0;
      const end = start + pageRows.length;
      range.textContent = `${(start + 1).toLocaleString(LOCALE)} to ${end.toLocaleString(LOCALE)}`;
      previousButton.disabled = state.page === 0;
      nextButton.disabled = state.page === lastPage;
    };
    filter.addEventListener("input", () => {
      state.filterWords = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      state.page = 0;
      renderBody();
    });
    columnsButton.addEventListener("click", () => {
      state.allColumns = !state.allColumns;
      columnsButton.textContent = state.allColumns ? "Fewer columns" : "All columns";
      columnsButton.setAttribute("aria-pressed", String(state.allColumns));
      renderHead();
      renderBody();
    });
    csvButton.addEventListener("click", () =>
      download(`${view.key}.csv`, toCsv(Object.keys(columns), columns, sortedRows()), "text/csv"),
    );
    for (const [button, step] of [[previousButton, -1], [nextButton, 1]])
      button.addEventListener("click", () => {
        state.page += step;
        renderBody();
        scroll.scrollTop = 0;
      });
    renderHead();
    renderBody();
  }

  // ---- charts

  // Colours are CSS variables, so that dark mode and print need no redrawing.
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
  const COLOUR_VARIABLES = { "#000000": "var(--ink)", "#dcdcdc": "var(--plot-faint)" };
  const withColourVariables = (value) => {
    if (typeof value === "string") return COLOUR_VARIABLES[value] ?? value;
    if (Array.isArray(value)) return value.map(withColourVariables);
    if (value && typeof value === "object")
      return Object.fromEntries(
        Object.entries(value).map(([key, child]) => [key, key === "datasets" ? child : withColourVariables(child)]),
      );
    return value;
  };
  const panelsOf = (spec) => spec.concat ?? spec.hconcat ?? spec.vconcat ?? (spec.facet && spec.spec ? [spec.spec] : []);
  const reduceWidth = (spec, pixels) => {
    for (const panel of panelsOf(spec)) reduceWidth(panel, pixels);
    if (typeof spec.width === "number") spec.width = Math.max(120, Math.floor(spec.width - pixels));
  };
  const LEGEND_MARGIN = 90; // width of the y axis, which is left of the legend, and of a symbol
  const moveLegendsBelow = (value, columns, width) => {
    if (Array.isArray(value)) for (const item of value) moveLegendsBelow(item, columns, width);
    else if (value && typeof value === "object")
      for (const [key, child] of Object.entries(value)) {
        if (key === "datasets" || key === "data") continue;
        if (key === "color" || key === "shape" || key === "fill") {
          if (child && child.field && child.legend !== null) {
            child.legend = { ...child.legend, orient: "bottom", columns };
            if (columns === 1) child.legend.labelLimit = width - LEGEND_MARGIN;
          }
        } else moveLegendsBelow(child, columns, width);
      }
  };
  const embed = (plot, spec) =>
    vegaEmbed(plot, spec, {
      mode: "vega-lite", renderer: "svg", ast: true, actions: false, config: CONFIG, tooltip: { theme: "custom" },
    });
  // The width of the drawing itself: on the screen, CSS scales it down to its container.
  const drawnWidth = (plot) => plot.querySelector("svg").width.baseVal.value;

  // The layout of a chart is narrowed step by step until it fits its container: fewer panels in a
  // row, then the legend below the plot, then a narrower plot. What is still too wide is scaled
  // down, or, with a fixed layout, scrolls inside its container.
  const SMALLEST_SCALE = 0.85; // below it, text is hard to read
  const drawings = new Map(); // of each plot: the width that it was drawn for, and the Vega view
  async function draw(plot) {
    const width = plot.clientWidth;
    if (drawings.get(plot)?.width === width || plot.dataset.status === "failed") return;
    drawings.get(plot)?.view.finalize();
    const fixedLayout = "fixedLayout" in plot.dataset;
    const readSpec = () => {
      const spec = withColourVariables(JSON.parse(document.getElementById(plot.dataset.chart).textContent));
      delete spec.config?.axis;
      delete spec.config?.legend;
      return spec;
    };
    let spec = readSpec();
    let view = await embed(plot, spec);
    let legendColumns = 0; // of a legend below the plot
    let previousExcess = Infinity;
    for (let attempt = 0; attempt < 8 && drawnWidth(plot) > width + 1 && !fixedLayout; attempt += 1) {
      const excess = drawnWidth(plot) - width;
      const panels = Math.min(spec.columns ?? 1, spec.concat?.length ?? Infinity);
      if (panels > 1) {
        const panelWidth = drawnWidth(plot) / panels;
        spec.columns = Math.max(1, Math.min(panels - 1, Math.floor(width / panelWidth)));
      } else if (!legendColumns || (legendColumns > 1 && excess >= previousExcess)) {
        // If a narrower plot did not help, the legend is too wide: it becomes one column.
        if (legendColumns) spec = { ...readSpec(), ...("columns" in spec && { columns: spec.columns }) };
        legendColumns = legendColumns ? 1 : width < 480 ? 2 : 4;
        previousExcess = Infinity;
        moveLegendsBelow(spec, legendColumns, width);
      } else {
        previousExcess = excess;
        reduceWidth(spec, excess + 2);
      }
      view.finalize();
      view = await embed(plot, spec);
    }
    drawings.set(plot, { width, view });
    const scrolls = fixedLayout && width < SMALLEST_SCALE * drawnWidth(plot);
    plot.toggleAttribute("data-scrolls", scrolls);
    plot.parentElement.querySelector(".scroll-hint").hidden = !scrolls;
    if (plot.dataset.status) return;
    plot.dataset.status = "drawn";
    const saveButton = createElement("button", { type: "button" }, "SVG");
    saveButton.title = "Download this figure as a vector graphic";
    saveButton.addEventListener("click", () => download(`${plot.dataset.chart}.svg`, exportSvg(plot), "image/svg+xml"));
    plot.after(createElement("div", { class: "figure-tools" }, saveButton));
  }
  const EXPORT_COLOURS = {
    ink: "#16202a", soft: "#55616d", line: "#c4cad0", faint: "#eceff1", "plot-faint": "#d4d8dc",
  };
  const exportSvg = (plot) =>
    new XMLSerializer()
      .serializeToString(plot.querySelector("svg"))
      .replace(/var\(--([a-z-]+)\)/g, (_, name) => EXPORT_COLOURS[name] ?? "#000000");

  for (const container of document.querySelectorAll("[data-table]")) createTable(container);
  const plots = [...document.querySelectorAll("[data-chart]")];
  let lastDrawing = Promise.resolve(); // one chart at a time, so that the page stays responsive
  const enqueue = (plot) =>
    (lastDrawing = lastDrawing
      .then(() => draw(plot))
      .catch((error) => {
        plot.dataset.status = "failed";
        plot.textContent = `This figure could not be drawn: ${error.message}`;
        console.error(error);
      }));
  const visibilityObserver = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) {
          visibilityObserver.unobserve(entry.target);
          enqueue(entry.target);
        }
    },
    { rootMargin: "600px 0px" },
  );
  for (const plot of plots) visibilityObserver.observe(plot);
  // All other charts are drawn afterwards, so that a printed page is complete.
  const drawRemaining = () => {
    const plot = plots.find((candidate) => !candidate.dataset.status);
    if (plot) enqueue(plot).then(() => setTimeout(drawRemaining, 50));
  };
  setTimeout(drawRemaining, 300);
  let resizeTimer;
  addEventListener("resize", () => {
    clearTimeout(resizeTimer);
    resizeTimer = setTimeout(() => plots.filter((plot) => plot.dataset.status).forEach(enqueue), 150);
  });
  addEventListener("beforeprint", () => plots.forEach(enqueue));

  // ---- table of contents

  const links = new Map(
    [...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]),
  );
  const sectionObserver = new IntersectionObserver(
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
  for (const section of document.querySelectorAll("main > section, #top")) sectionObserver.observe(section);
})();
