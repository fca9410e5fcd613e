// When each step ran: one line per step, from the first start to the last end.

const TICK_SECONDS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400,
];
const LABEL_WIDTH = 90; // pixels that the text beside a bar may need
const TICK_WIDTH = 70; // pixels from tick to tick, at least

class TimelineView {
  constructor(model, container, { hrefOf }) {
    this.model = model;
    this.hrefOf = hrefOf;
    this.lines = new Map();
    this.selected = null;
    this.note = make("p", { className: "soft" });
    this.axis = make("div", { className: "track" });
    this.body = make("div", { className: "lines" });
    const head = make(
      "div",
      { className: "line head", "aria-hidden": "true" },
      make("span", { className: "name" }),
      this.axis,
    );
    const lines = make(
      "div",
      { className: "timeline", tabIndex: 0, role: "region", "aria-label": "Times of the steps" },
      head,
      this.body,
    );
    container.replaceChildren(this.note, lines);
  }

  refresh() {
    const matching = this.model.matching();
    // A result from before this run would stretch the axis to that time.
    const spans = matching
      .filter((step) => categoryOf(step).key !== "CACHED")
      .map((step) => [step, ...this.model.spanOf(step)]);
    const timed = spans
      .filter(([, from]) => from !== null)
      .sort((one, other) => one[1] - other[1] || one[2] - other[2]);
    const first = timed.reduce((least, [, from]) => Math.min(least, from), Infinity);
    const last = timed.reduce((most, [, , to]) => Math.max(most, to), -Infinity);
    const length = Math.max(1, last - first);
    this.note.textContent = this.describe(timed.length, matching.length - timed.length, first);
    this.width = this.axis.clientWidth;
    this.axis.replaceChildren(...(timed.length ? this.ticks(length / 1000) : []));
    const wanted = timed.map(([step, from, to]) => this.lineOf(step, (from - first) / length, (to - first) / length));
    const isSame =
      wanted.length === this.body.children.length && wanted.every((line, at) => line === this.body.children[at]);
    if (!isSame) this.body.replaceChildren(...wanted);
  }

  describe(shown, left, first) {
    const rest = left
      ? ` ${count(left, "step")} that did not run, or whose results were there before, ${left === 1 ? "is" : "are"} left out.`
      : "";
    if (!shown) return `No step has times to show.${rest}`;
    return `${count(shown, "step")} by start; 0 is ${clock(new Date(first).toISOString())}.${rest}`;
  }

  ticks(seconds) {
    const most = Math.max(1, Math.floor(this.width / TICK_WIDTH));
    const size = TICK_SECONDS.find((tick) => seconds / tick <= most) ?? 86400 * Math.ceil(seconds / 86400 / most);
    const ticks = [];
    for (let at = 0; at <= seconds; at += size) {
      const tick = make("span", { className: "tick" }, at === 0 ? "0" : this.tickLabel(at, size));
      tick.style.left = `${(100 * at) / seconds}%`;
      ticks.push(tick);
    }
    return ticks;
  }

  tickLabel(seconds, size) {
    if (size < 60) return `${Number(seconds.toFixed(1))} s`;
    if (size < 3600) return `${Math.round(seconds / 60)} min`;
    return size < 86400 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
  }

  lineOf(step, from, to) {
    const category = categoryOf(step);
    const took = duration(this.model.secondsOf(step));
    let line = this.lines.get(step.id);
    if (line === undefined) {
      line = make("a", { className: "line", href: this.hrefOf(step.id) });
      line.dataset.step = step.id;
      line.append(
        make("span", { className: "name", title: step.name }, mark(category), make("bdi")),
        make("span", { className: "track" }, make("span", { className: "bar" }), make("span", { className: "took" })),
      );
      this.lines.set(step.id, line);
    }
    const [bar, label] = line.lastChild.children;
    line.querySelector("bdi").textContent = shorten(step.name, 34);
    line.querySelector(".mark").replaceWith(mark(category));
    line.setAttribute("aria-label", `${step.name}: ${category.label}, ${took}`);
    bar.className = `bar ${category.key}`;
    bar.style.left = `${100 * from}%`;
    bar.style.width = `${100 * (to - from)}%`;
    label.textContent = took;
    const isBehind = (1 - to) * this.width > LABEL_WIDTH;
    label.style.left = isBehind ? `${100 * to}%` : "auto";
    label.style.right = isBehind ? "auto" : `${100 * (1 - from)}%`;
    label.classList.toggle("inside", !isBehind && from * this.width < LABEL_WIDTH);
    line.classList.toggle("chosen", step.id === this.selected);
    return line;
  }

  select(id) {
    for (const chosen of [this.selected, id])
      this.lines.get(chosen)?.classList.toggle("chosen", chosen === id && id !== null);
    this.selected = id;
  }
}
