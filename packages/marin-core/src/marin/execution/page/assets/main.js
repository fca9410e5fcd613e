// Puts the page together: header, search, filters, the three views and the panel.

const VIEWS = ["graph", "timeline", "table"];
const MILLISECONDS_TO_TYPE = 120;

class Page {
  constructor(data) {
    this.model = new Model(data);
    this.selected = null;
    this.opener = null;
    const hooks = {
      hrefOf: (id) => this.hrefOf(id),
      onSelect: (id) => this.select(id),
      onHover: (id, box) => this.hover(id, box),
      onClose: () => this.select(null),
    };
    this.views = {
      graph: new GraphView(this.model, byElementId("graph"), hooks),
      timeline: new TimelineView(this.model, byElementId("timeline"), hooks),
      table: new TableView(this.model, byElementId("table"), hooks),
    };
    this.panel = new Panel(this.model, byElementId("panel"), hooks);
    this.makeFilters();
    this.listen();
    this.readHash();
    if (data.live) new Live(byElementId("live"), { onData: (later) => this.update(later) });
  }

  /** Take later data; null where there are none, and only the present moves on. */
  update(data) {
    if (data !== null) this.model.set(data);
    this.refresh();
  }

  /** Show all that depends on the data. A view that is hidden is drawn when it is opened. */
  refresh() {
    this.refreshHeader();
    this.views[this.view].refresh();
    if (this.selected !== null && !this.model.byId.has(this.selected)) this.select(null);
    else this.panel.show(this.selected);
    const matching = this.model.isFiltered
      ? `${this.model.matching().length.toLocaleString("en")} of ${count(this.model.data.steps.length, "step")}`
      : "";
    byElementId("found").textContent = matching;
  }

  refreshHeader() {
    const { title, description, prefix, record, generated, provenance, steps } = this.model.data;
    const counts = this.model.counts();
    const done = counts.get("SUCCESS") + counts.get("CACHED");
    document.title = `${counts.get("FAILED") ? "failed: " : ""}${title} (${done}/${steps.length})`;
    byElementId("title").textContent = title;
    byElementId("description").textContent = description ?? "";
    byElementId("summary").textContent = this.summary(done);
    byElementId("progress").setAttribute("aria-label", `${done} of ${count(steps.length, "step")} done`);
    for (const [key, number] of counts) {
      this.bars.get(key).style.flexGrow = number;
      this.chips.get(key).hidden = number === 0 && !this.model.shownCategories.has(key);
      this.chips.get(key).lastChild.textContent = number.toLocaleString("en");
    }
    const facts = Object.entries(provenance).map(([name, value]) => [
      name.replaceAll("_", " "),
      provenanceValue(value),
    ]);
    const shown = JSON.stringify([prefix, record, provenance]);
    if (this.shownFacts !== shown)
      byElementId("facts").replaceChildren(
        factList([["record", make("code", {}, record)], ["prefix", make("code", {}, prefix)], ...facts]),
      );
    this.shownFacts = shown;
    byElementId("generated").replaceChildren(this.model.data.live ? "Latest data: " : "As of ", timeElement(generated));
  }

  summary(done) {
    const { steps } = this.model.data;
    const spans = steps
      .filter((step) => categoryOf(step).key !== "CACHED")
      .map((step) => this.model.spanOf(step))
      .filter(([from]) => from !== null);
    const text = `${done.toLocaleString("en")} of ${count(steps.length, "step")} done`;
    if (!spans.length) return text;
    const first = spans.reduce((least, [from]) => Math.min(least, from), Infinity);
    const last = spans.reduce((most, [, to]) => Math.max(most, to), -Infinity);
    return `${text}; started ${clock(new Date(first).toISOString())}, ${duration((last - first) / 1000)} from first to last`;
  }

  makeFilters() {
    this.bars = new Map(PROGRESS_ORDER.map((key) => [key, make("span", { className: key })]));
    byElementId("progress").replaceChildren(...this.bars.values());
    this.chips = new Map(CATEGORIES.map((category) => [category.key, this.chip(category)]));
    byElementId("counts").replaceChildren(...this.chips.values());
    const legend = CATEGORIES.map((category) => make("li", {}, mark(category), category.label));
    byElementId("legend").replaceChildren(...legend);
  }

  chip(category) {
    const toggle = () => {
      const shown = this.model.shownCategories;
      if (!shown.delete(category.key)) shown.add(category.key);
      chip.setAttribute("aria-pressed", String(shown.has(category.key)));
      this.refresh();
    };
    const chip = make(
      "button",
      { type: "button", className: "chip", "aria-pressed": "false", onclick: toggle },
      mark(category),
      category.label,
      make("strong"),
    );
    chip.dataset.category = category.key;
    return chip;
  }

  listen() {
    const search = byElementId("search");
    search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.find(search.value), MILLISECONDS_TO_TYPE);
    });
    search.addEventListener("keydown", (event) => this.onSearchKey(event));
    addEventListener("hashchange", () => this.readHash());
    document.addEventListener("click", (event) => this.onClick(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
    for (const view of VIEWS)
      byElementId(`tab-${view}`).addEventListener("keydown", (event) => this.onTabKey(event, view));
    for (const view of VIEWS) byElementId(`tab-${view}`).addEventListener("click", () => this.open(view));
    byElementId("zoom-in").addEventListener("click", () => this.views.graph.zoom(1.25));
    byElementId("zoom-out").addEventListener("click", () => this.views.graph.zoom(0.8));
    byElementId("zoom-fit").addEventListener("click", () => this.views.graph.fit());
  }

  find(text) {
    this.model.search = text.trim().toLowerCase();
    this.refresh();
  }

  onSearchKey(event) {
    if (event.key !== "Enter") return;
    this.find(event.target.value);
    const [first] = this.model.matching();
    if (this.model.isFiltered && first) this.select(first.id);
  }

  /** Steps open in the panel by a plain click; other clicks on a link are the browser's. */
  onClick(event) {
    const target = event.target.closest("[data-step]");
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) && event.button === 0;
    if (target === null || !isPlain || getSelection().toString()) return;
    event.preventDefault();
    this.select(Number(target.dataset.step));
  }

  onKey(event) {
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "Escape" && this.selected !== null) this.select(null);
    else if (event.key === "/" && !isTyping) {
      event.preventDefault();
      byElementId("search").focus();
    }
  }

  onTabKey(event, view) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move === undefined) return;
    const next = VIEWS[(VIEWS.indexOf(view) + move + VIEWS.length) % VIEWS.length];
    this.open(next);
    byElementId(`tab-${next}`).focus();
  }

  open(view) {
    this.show(view);
    history.replaceState(null, "", this.hrefOf(this.selected));
  }

  show(view) {
    this.view = view;
    for (const other of VIEWS) {
      const tab = byElementId(`tab-${other}`);
      tab.setAttribute("aria-selected", String(other === view));
      tab.tabIndex = other === view ? 0 : -1;
      byElementId(`view-${other}`).hidden = other !== view;
    }
    this.refresh();
  }

  /** The address of a step in the open view. */
  hrefOf(id) {
    const parts = { ...(this.view === VIEWS[0] ? {} : { view: this.view }), ...(id === null ? {} : { step: id }) };
    return `#${new URLSearchParams(parts)}`;
  }

  readHash() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const view = parts.get("view") ?? this.view ?? VIEWS[0];
    const wanted = VIEWS.includes(view) ? view : VIEWS[0];
    if (wanted !== this.view) this.show(wanted);
    const id = parts.has("step") ? Number(parts.get("step")) : null;
    this.choose(this.model.byId.has(id) ? id : null);
  }

  /** Open a step in the panel, or close the panel for null, and let the browser remember it. */
  select(id) {
    if (id === this.selected) return;
    if (this.selected === null) this.opener = document.activeElement;
    history.pushState(null, "", this.hrefOf(id));
    this.choose(id);
    const isGraph = document.activeElement === byElementId("graph");
    if (id === null) this.opener?.focus({ preventScroll: true });
    else if (!isGraph || this.coversPage()) this.panel.focus();
    if (id !== null)
      byElementId("announcement").textContent =
        `${this.model.byId.get(id).name}, ${categoryOf(this.model.byId.get(id)).label}`;
  }

  choose(id) {
    this.selected = id;
    this.panel.show(id);
    byElementId("app").classList.toggle("open", id !== null);
    byElementId("main").inert = id !== null && this.coversPage();
    for (const view of Object.values(this.views)) view.select(id);
    this.hover(null);
  }

  coversPage() {
    return matchMedia("(max-width: 56rem)").matches;
  }

  hover(id, box) {
    const tip = byElementId("tip");
    const step = this.model.byId.get(id);
    tip.hidden = step === undefined;
    if (step === undefined) return;
    const took = duration(this.model.secondsOf(step));
    tip.replaceChildren(
      make("bdi", {}, step.name),
      make("span", {}, `${categoryOf(step).label}${took ? `, ${took}` : ""}`),
    );
    const width = byElementId("graph").clientWidth;
    tip.style.top = `${box.y2 + 6}px`;
    tip.style.left = `${Math.max(4, Math.min((box.x1 + box.x2 - tip.offsetWidth) / 2, width - tip.offsetWidth - 4))}px`;
  }
}

function byElementId(id) {
  return document.getElementById(id);
}

function provenanceValue(value) {
  if (value !== null && typeof value === "object") {
    const lines = Object.entries(value).map(
      ([name, item]) => `${name} ${typeof item === "string" ? item : JSON.stringify(item)}`,
    );
    return lines.length ? make("span", { className: "lines-of-text" }, lines.join("\n")) : null;
  }
  return value === null ? null : make("bdi", {}, typeof value === "boolean" ? (value ? "yes" : "no") : String(value));
}

new Page(JSON.parse(byElementId("data").textContent));
