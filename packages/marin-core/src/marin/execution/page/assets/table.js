// The steps as a table, to be sorted and read by every kind of reader.

const COLUMNS = [
  { key: "state", label: "State", value: (step) => CATEGORIES.indexOf(categoryOf(step)) },
  { key: "name", label: "Step", value: (step) => step.name },
  { key: "started", label: "Started", value: (step) => (step.started === null ? null : Date.parse(step.started)) },
  { key: "seconds", label: "Took", value: (step, model) => model.secondsOf(step) },
  { key: "attempts", label: "Attempts", value: (step) => step.attempts },
  { key: "reason", label: "Error, or why it ran again" },
];

class TableView {
  constructor(model, container, { hrefOf }) {
    this.model = model;
    this.hrefOf = hrefOf;
    this.sort = { key: null, isDescending: false };
    this.rows = new Map();
    this.selected = null;
    this.body = make("tbody");
    this.headers = new Map(COLUMNS.map((column) => [column.key, this.header(column)]));
    const head = make("thead", {}, make("tr", {}, [...this.headers.values()]));
    container.replaceChildren(make("table", { className: "steps" }, head, this.body));
  }

  header(column) {
    if (!column.value) return make("th", { scope: "col", className: column.key }, column.label);
    const button = make("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.label);
    return make("th", { scope: "col", className: column.key }, button);
  }

  /** Sort by a column; the second time the other way round, the third time in the order of the experiment. */
  sortBy(key) {
    if (this.sort.key !== key) this.sort = { key, isDescending: key === "seconds" };
    else if (this.sort.isDescending !== (key === "seconds")) this.sort = { key: null, isDescending: false };
    else this.sort = { key, isDescending: !this.sort.isDescending };
    this.refresh();
  }

  refresh() {
    for (const [key, header] of this.headers) {
      if (key === this.sort.key) header.setAttribute("aria-sort", this.sort.isDescending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
    const wanted = this.sorted().map((step) => this.rowOf(step));
    const isSame = wanted.length === this.body.rows.length && wanted.every((row, at) => row === this.body.rows[at]);
    if (!isSame) this.body.replaceChildren(...wanted);
    if (!wanted.length)
      this.body.replaceChildren(
        make("tr", {}, make("td", { colSpan: COLUMNS.length, className: "soft" }, "No step is like that.")),
      );
  }

  sorted() {
    const steps = this.model.matching();
    const column = COLUMNS.find(({ key }) => key === this.sort.key);
    if (column === undefined) return steps;
    const sign = this.sort.isDescending ? -1 : 1;
    const keyed = steps.map((step) => [column.value(step, this.model), step]);
    // What has no value comes last in either order.
    keyed.sort(
      ([one], [other]) => (one === null) - (other === null) || sign * (one < other ? -1 : one > other ? 1 : 0),
    );
    return keyed.map(([, step]) => step);
  }

  /** The row of a step: the one there is, changed only where the step has. */
  rowOf(step) {
    const category = categoryOf(step);
    const took = duration(this.model.secondsOf(step));
    const reason = step.error ?? step.changes.join("; ");
    const shown = JSON.stringify([step.name, category.key, step.started, took, step.attempts, reason]);
    let entry = this.rows.get(step.id);
    if (entry === undefined) this.rows.set(step.id, (entry = { row: make("tr"), shown: null }));
    if (entry.shown !== shown) {
      entry.shown = shown;
      entry.row.replaceChildren(...this.cells(step, category, took, reason));
      entry.row.dataset.step = step.id;
    }
    entry.row.classList.toggle("chosen", step.id === this.selected);
    return entry.row;
  }

  cells(step, category, took, reason) {
    const link = make("a", { href: this.hrefOf(step.id) }, make("bdi", {}, step.name));
    link.dataset.step = step.id;
    return [
      make("td", { className: "state" }, mark(category), make("span", { className: "word" }, category.label)),
      make("th", { scope: "row", className: "name" }, link),
      make("td", { className: "started" }, timeElement(step.started)),
      make("td", { className: "seconds" }, took),
      make("td", { className: "attempts" }, step.attempts ? String(step.attempts) : ""),
      make("td", { className: "reason", title: reason }, make("bdi", {}, reason)),
    ];
  }

  select(id) {
    for (const chosen of [this.selected, id])
      this.rows.get(chosen)?.row.classList.toggle("chosen", chosen === id && id !== null);
    this.selected = id;
  }
}
