// All that is known of one step.

class Panel {
  constructor(model, element, { hrefOf, onClose }) {
    this.model = model;
    this.element = element;
    this.hrefOf = hrefOf;
    this.shown = null;
    this.heading = make("h2", { tabIndex: -1 });
    this.body = make("div", { className: "panel-body" });
    const close = make(
      "button",
      { type: "button", className: "close", "aria-label": "Close the step", onclick: onClose },
      "✕",
    );
    element.replaceChildren(make("div", { className: "panel-head" }, this.heading, close), this.body);
  }

  /** Show a step, or nothing for null; what has not changed is left alone, so that one can read and copy on. */
  show(id) {
    const step = this.model.byId.get(id);
    this.element.hidden = step === undefined;
    if (step === undefined) {
      this.shown = null;
      return;
    }
    const seconds = step.state === "RUNNING" ? this.model.secondsOf(step) : step.seconds;
    const neighbours = [...this.model.dependenciesOf(step), ...this.model.dependents.get(id)].map(
      (other) => this.model.byId.get(other).state,
    );
    const shown = JSON.stringify([step, this.model.data.record, neighbours]);
    if (shown !== this.shown) {
      const isSameStep = this.id === id;
      this.heading.replaceChildren(make("bdi", {}, step.name));
      this.body.replaceChildren(...this.sections(step));
      if (!isSameStep) this.body.scrollTop = 0;
      [this.shown, this.id] = [shown, id];
    }
    const took = this.body.querySelector(".took-value");
    if (took) took.textContent = duration(seconds);
  }

  focus() {
    this.heading.focus();
  }

  sections(step) {
    const category = categoryOf(step);
    return [
      make(
        "p",
        { className: "panel-state" },
        mark(category),
        `${category.label}${category.key === "CACHED" ? ": its result was there before this run" : ""}`,
      ),
      step.description ? make("p", { className: "soft" }, make("bdi", {}, step.description)) : null,
      step.error ? make("p", { className: "note failure" }, make("bdi", {}, step.error)) : null,
      ...this.list(
        "Why it ran again",
        step.changes.map((change) => make("li", {}, make("code", {}, change))),
      ),
      this.facts(step),
      ...this.list(
        "Files",
        Object.entries(step.files).map(([label, path]) => this.file(step, label, path)),
      ),
      ...this.list(
        "Needs",
        this.model.dependenciesOf(step).map((id) => this.link(id)),
        "steps-list",
      ),
      ...this.list(
        "Needed by",
        this.model.dependents.get(step.id).map((id) => this.link(id)),
        "steps-list",
      ),
      ...this.text("Traceback", step.traceback),
      ...this.text("Config", step.config === null ? null : JSON.stringify(step.config, null, 2)),
    ].filter((part) => part !== null);
  }

  facts(step) {
    const took = make("span", { className: "took-value" });
    const facts = [
      ["Output", make("code", {}, step.output_path)],
      ["Function", step.fn_name ? make("code", {}, step.fn_name) : null],
      ["Started", step.started === null ? null : timeElement(step.started)],
      ["Ended", step.ended === null ? null : timeElement(step.ended)],
      ["Took", this.model.secondsOf(step) === null ? null : took],
      ["Attempts", step.attempts || null],
      ["Run by", step.owner === null ? null : make("bdi", {}, step.owner)],
      [
        step.jobs.length === 1 ? "Job" : "Jobs",
        step.jobs.length ? step.jobs.map((job) => make("code", { className: "job" }, job)) : null,
      ],
    ];
    return factList(facts);
  }

  list(heading, items, className = "") {
    return items.length ? [make("h3", {}, heading), make("ul", { className }, items)] : [];
  }

  text(heading, text) {
    return text === null ? [] : [make("h3", {}, heading), make("pre", { tabIndex: 0 }, text)];
  }

  link(id) {
    const step = this.model.byId.get(id);
    const link = make("a", { href: this.hrefOf(id) }, make("bdi", {}, step.name));
    link.dataset.step = id;
    return make("li", {}, mark(categoryOf(step)), link);
  }

  file(step, label, path) {
    const href = fileHref(this.model.data, step.id, label, path);
    const name = make("bdi", {}, label);
    const shown = href === null ? name : make("a", { href, target: "_blank", rel: "noopener" }, name);
    return make("li", {}, shown, make("code", { className: "path" }, path));
  }
}

function factList(facts) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined);
  return make(
    "dl",
    { className: "facts" },
    known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
  );
}

/**
 * Where a file is found: with the server, or relative to the folder of the static page if both are below the prefix on
 * a disk. Null where no link would lead there.
 */
function fileHref(data, id, label, path) {
  if (data.live) return `file?${new URLSearchParams({ step: id, file: label })}`;
  const folder = data.record.slice(0, data.record.lastIndexOf("/") + 1);
  const prefix = `${data.prefix.replace(/\/+$/, "")}/`;
  if (path.includes("://") || !folder) return null;
  const encoded = (below) => below.split("/").map(encodeURIComponent).join("/");
  if (path.startsWith(folder)) return `./${encoded(path.slice(folder.length))}`;
  if (!path.startsWith(prefix) || !folder.startsWith(prefix)) return null;
  const depth = folder.slice(prefix.length).split("/").length - 1;
  return "../".repeat(depth) + encoded(path.slice(prefix.length));
}
