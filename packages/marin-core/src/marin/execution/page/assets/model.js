// The experiment as the page knows it: its steps by id, and which of them the search and the filters let through.

// In the order of the header: what asks for attention comes first. The style sheet cuts the marks to the same shapes as
// the nodes of the graph have.
const CATEGORIES = [
  { key: "FAILED", letter: "F", label: "failed" },
  { key: "DEP_FAILED", letter: "D", label: "dependency failed" },
  { key: "CANCELLED", letter: "X", label: "cancelled" },
  { key: "RUNNING", letter: "R", label: "running" },
  { key: "WAITING", letter: "W", label: "waiting" },
  { key: "SUCCESS", letter: "S", label: "succeeded" },
  { key: "CACHED", letter: "C", label: "cached" },
];
const PROGRESS_ORDER = ["CACHED", "SUCCESS", "RUNNING", "FAILED", "DEP_FAILED", "CANCELLED", "WAITING"];
const CATEGORY = new Map(CATEGORIES.map((category) => [category.key, category]));
const UNKNOWN_CATEGORY = CATEGORY.get("WAITING");

/** The category of a step: its state, where a result from before this run is one of its own. */
function categoryOf(step) {
  return CATEGORY.get(step.state === "SUCCESS" && step.cached ? "CACHED" : step.state) ?? UNKNOWN_CATEGORY;
}

class Model {
  constructor(data) {
    this.search = "";
    this.shownCategories = new Set();
    this.set(data);
  }

  /** Take later data of the experiment. */
  set(data) {
    this.data = data;
    this.clockSkew = Date.parse(data.generated) - Date.now();
    this.byId = new Map(data.steps.map((step) => [step.id, step]));
    this.dependents = new Map(data.steps.map((step) => [step.id, []]));
    for (const step of data.steps) {
      for (const id of this.dependenciesOf(step)) this.dependents.get(id).push(step.id);
    }
  }

  /** Ids of the steps that `step` needs, without those that the page does not know. */
  dependenciesOf(step) {
    return [...new Set(step.dependencies)].filter((id) => this.byId.has(id) && id !== step.id);
  }

  /** What changes when the graph must be drawn anew. */
  structure() {
    return JSON.stringify(this.data.steps.map((step) => [step.id, step.name, step.dependencies]));
  }

  get isFiltered() {
    return this.search !== "" || this.shownCategories.size > 0;
  }

  /** Whether the search and the filters let `step` through. */
  matches(step) {
    if (this.shownCategories.size && !this.shownCategories.has(categoryOf(step).key)) return false;
    return step.name.toLowerCase().includes(this.search);
  }

  matching() {
    return this.data.steps.filter((step) => this.matches(step));
  }

  counts() {
    const counts = new Map(CATEGORIES.map((category) => [category.key, 0]));
    for (const step of this.data.steps) {
      const key = categoryOf(step).key;
      counts.set(key, counts.get(key) + 1);
    }
    return counts;
  }

  /** The present in milliseconds: that of the server, or the moment at which a static page was made. */
  now() {
    return this.data.live ? Date.now() + this.clockSkew : Date.parse(this.data.generated);
  }

  /** Seconds that a step took, or has taken so far; null where nothing says. */
  secondsOf(step) {
    if (step.seconds !== null) return step.seconds;
    const [from, to] = this.spanOf(step);
    return from === null ? null : Math.max(0, (to - from) / 1000);
  }

  /** Start and end of a step in milliseconds; the end of a running step is the present. */
  spanOf(step) {
    const from = step.started === null ? NaN : Date.parse(step.started);
    const to = step.ended !== null ? Date.parse(step.ended) : step.state === "RUNNING" ? this.now() : NaN;
    return Number.isNaN(from) || Number.isNaN(to) ? [null, null] : [from, Math.max(from, to)];
  }

  /** All that a step needs and all that needs it, itself included. */
  lineage(id) {
    const found = new Set([id]);
    const walk = (next) => {
      const waiting = [id];
      while (waiting.length) {
        for (const other of next(waiting.pop())) {
          if (!found.has(other)) {
            found.add(other);
            waiting.push(other);
          }
        }
      }
    };
    walk((at) => this.dependenciesOf(this.byId.get(at)));
    const needed = new Set(found);
    walk((at) => this.dependents.get(at).filter((other) => !needed.has(other)));
    return found;
  }
}

/** An element with properties and children. Texts become text nodes: no data of an experiment is read as markup. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The sign of a category: its letter on its colour, cut to its shape. */
function mark(category) {
  return make("span", { className: `mark ${category.key}`, "aria-hidden": "true" }, make("b", {}, category.letter));
}

function count(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

function duration(seconds) {
  if (seconds === null) return "";
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days} d ${two(hours)} h`;
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(whole % 60)} s`;
}

// Made once: making it takes as long as a hundred uses. The Swedish form is that of ISO 8601.
const CLOCK = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium" });

/** A time of the data in the zone of the reader. */
function clock(iso) {
  const time = iso === null ? NaN : Date.parse(iso);
  if (Number.isNaN(time)) return iso ?? "";
  return CLOCK.format(time);
}

/** A time with the exact text of the data on hovering. */
function timeElement(iso) {
  return make("time", { dateTime: iso ?? "", title: iso ?? "" }, clock(iso));
}

/** The end of a name says more than its middle, so the middle goes. */
function shorten(name, length) {
  if (name.length <= length) return name;
  const head = Math.floor((length - 1) / 3);
  return `${name.slice(0, head)}…${name.slice(name.length - (length - 1 - head))}`;
}
