// The graph of the steps, drawn by the vendored library on a canvas.

const SMALL_GRAPH = 120; // steps up to which each has room for its name
const MANY_EDGES = 800; // from which they are straight lines, left out while the graph moves
const SMALL = { node: { width: 190, height: 34 }, border: 2, pitch: { columnPitch: 238, rowPitch: 54 }, letters: 21 };
const LARGE = { node: { width: 40, height: 40 }, border: 3, pitch: { columnPitch: 138, rowPitch: 68 }, letters: 22 };
const LEAST_READABLE_ZOOM = 0.62;
const MOST_ZOOM_OF_FIT = 1.1;
const LEAST_ZOOM = 0.02;
const PADDING = 24;
const LABEL_HEIGHT = 16;

/** The outlines of nodes, from -1 to 1 in both directions; the corners are cut by pixels, so that names have room. */
function outlines({ width, height }) {
  const [x, y] = [1 - Math.min(0.6, 22 / width), 1 - Math.min(0.6, 22 / height)];
  return {
    FAILED: [-x, -1, x, -1, 1, -y, 1, y, x, 1, -x, 1, -1, y, -1, -y],
    DEP_FAILED: [-x, -1, x, -1, 1, 0, x, 1, -x, 1, -1, 0],
    CANCELLED: [-x, -1, 1, -1, x, 1, -1, 1],
    RUNNING: [-1, -1, x, -1, 1, 0, x, 1, -1, 1],
  };
}

class GraphView {
  constructor(model, container, { onSelect, onHover }) {
    this.model = model;
    this.container = container;
    this.onSelect = onSelect;
    this.onHover = onHover;
    this.selected = null;
    this.cy = null;
    container.addEventListener("keydown", (event) => this.onKey(event));
    container.addEventListener("focus", () => this.cy?.userZoomingEnabled(true));
    container.addEventListener("blur", () => this.cy?.userZoomingEnabled(false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.cy?.style(this.styles()));
    new ResizeObserver(() => this.onResize()).observe(container);
  }

  /** Draw the graph as the model is now; positions and view stay where they are unless its structure has changed. */
  refresh() {
    const structure = this.model.structure();
    if (structure !== this.structure) {
      this.structure = structure;
      this.build();
    }
    this.cy.batch(() => this.markSteps());
  }

  build() {
    this.cy?.destroy();
    const steps = this.model.data.steps;
    this.isSmall = steps.length <= SMALL_GRAPH;
    this.look = this.isSmall ? SMALL : LARGE;
    this.container.style.height = "";
    const aspect = Math.max(0.5, this.container.clientWidth / Math.max(1, this.container.clientHeight));
    const edges = steps.flatMap((step) => this.model.dependenciesOf(step).map((from) => [from, step.id]));
    this.hasManyEdges = edges.length > MANY_EDGES;
    this.categories = new Map();
    this.layout = layoutGraph(steps, { ...this.look.pitch, aspect });
    this.bounds = this.boundsOf([...this.layout.positions.values()]);
    this.setHeight();
    this.cy = cytoscape({
      container: this.container,
      elements: [...steps.map((step) => this.nodeOf(step)), ...edges.map(([from, to]) => this.edgeOf(from, to))],
      style: this.styles(),
      layout: { name: "preset", fit: false },
      minZoom: LEAST_ZOOM,
      maxZoom: 2.5,
      autoungrabify: true,
      boxSelectionEnabled: false,
      userZoomingEnabled: document.activeElement === this.container,
      hideEdgesOnViewport: this.hasManyEdges,
      textureOnViewport: this.hasManyEdges,
    });
    this.drawnSize = `${this.container.clientWidth} ${this.container.clientHeight}`;
    this.arrange();
    this.listen();
  }

  /** The rectangle around all nodes. The library's own takes seconds for large graphs, for it measures every name. */
  boundsOf(places) {
    const least = (key) => places.reduce((value, place) => Math.min(value, place[key]), Infinity);
    const most = (key) => places.reduce((value, place) => Math.max(value, place[key]), -Infinity);
    const { width, height } = this.look.node;
    if (!places.length) return { x: 0, y: 0, width, height };
    const [x, y] = [least("x") - width / 2, least("y") - height / 2];
    return { x, y, width: most("x") + width / 2 - x, height: most("y") + height / 2 + LABEL_HEIGHT - y };
  }

  /** Have the frame no higher than the graph needs. */
  setHeight() {
    const { width, height } = this.bounds;
    const least = this.isSmall ? LEAST_READABLE_ZOOM : 0;
    const zoom = Math.min(MOST_ZOOM_OF_FIT, Math.max(this.container.clientWidth / width, least));
    const wanted = height * zoom + 4 * PADDING;
    if (wanted < this.container.clientHeight) this.container.style.height = `${Math.ceil(wanted)}px`;
  }

  nodeOf(step) {
    const category = categoryOf(step);
    this.categories.set(step.id, category);
    const data = { id: String(step.id), label: this.labelOf(step, category) };
    return { group: "nodes", data, classes: [category.key], position: { ...this.layout.positions.get(step.id) } };
  }

  labelOf(step, category) {
    return `${category.letter}  ${shorten(step.name, this.look.letters)}`;
  }

  edgeOf(from, to) {
    const data = { id: edgeKey(from, to), source: String(from), target: String(to) };
    if (!this.hasManyEdges) Object.assign(data, this.curve(from, to));
    return { group: "edges", data };
  }

  /** The control points of an edge that leaves and enters level, by way of its bends, as the library wants them. */
  curve(from, to) {
    const [start, end] = [this.layout.positions.get(from), this.layout.positions.get(to)];
    const half = this.look.node.width / 2;
    const [left, right] = [start.x + half, end.x - half];
    const way = [{ x: left, y: start.y }, ...(this.layout.bends.get(edgeKey(from, to)) ?? []), { x: right, y: end.y }];
    const [width, height] = [right - left, end.y - start.y];
    const square = Math.max(1, width * width + height * height);
    const weights = [];
    const distances = [];
    for (let at = 1; at < way.length; at++) {
      const x = (way[at - 1].x + way[at].x) / 2 - left;
      for (const y of [way[at - 1].y - start.y, way[at].y - start.y]) {
        weights.push(((x * width + y * height) / square).toFixed(4));
        distances.push(((y * width - x * height) / Math.sqrt(square)).toFixed(2));
      }
    }
    return { weights: weights.join(" "), distances: distances.join(" ") };
  }

  /** Set what is shown of each step where it has changed: its state, and whether it stands back. */
  markSteps() {
    const lineage = this.selected === null ? null : this.model.lineage(this.selected);
    for (const step of this.model.data.steps) {
      const category = categoryOf(step);
      const before = this.categories.get(step.id);
      if (before === category) continue;
      this.categories.set(step.id, category);
      const node = this.cy.getElementById(String(step.id));
      node.removeClass(before.key).addClass(category.key).data("label", this.labelOf(step, category));
    }
    const emphasis = JSON.stringify([
      this.structure,
      this.selected,
      this.model.isFiltered && this.model.matching().map((step) => step.id),
    ]);
    if (emphasis === this.emphasis) return;
    this.emphasis = emphasis;
    this.emphasize((step) => this.model.matches(step) && (lineage === null || lineage.has(step.id)), lineage !== null);
  }

  emphasize(isWanted, hasLineage) {
    const wanted = new Set(this.model.data.steps.filter(isWanted).map((step) => String(step.id)));
    this.cy.nodes().forEach((node) => {
      node.toggleClass("dim", !wanted.has(node.id()));
      node.toggleClass("chosen", node.id() === String(this.selected));
    });
    this.cy.edges().forEach((edge) => {
      const isDim = !wanted.has(edge.data("source")) || !wanted.has(edge.data("target"));
      edge.toggleClass("dim", isDim);
      edge.toggleClass("lineage", hasLineage && !isDim);
    });
  }

  select(id) {
    this.selected = id;
    if (this.cy === null) return;
    this.cy.batch(() => this.markSteps());
    if (id !== null) this.show(id);
  }

  /** Bring a step into view, if it is outside. */
  show(id) {
    const node = this.cy.getElementById(String(id));
    const [box, view] = [node.boundingBox(), this.cy.extent()];
    const isInside = box.x1 >= view.x1 && box.x2 <= view.x2 && box.y1 >= view.y1 && box.y2 <= view.y2;
    if (!isInside) this.cy.center(node);
  }

  /** Show all of the graph. */
  fit() {
    const { clientWidth, clientHeight } = this.container;
    const { width, height } = this.bounds;
    const zoom = Math.min((clientWidth - 2 * PADDING) / width, (clientHeight - 2 * PADDING) / height);
    this.view(Math.min(MOST_ZOOM_OF_FIT, Math.max(LEAST_ZOOM, zoom)));
  }

  /** The view to begin with: all of the graph, or its left part if names would be too small to read. */
  arrange() {
    this.fit();
    if (!this.isSmall || this.cy.zoom() >= LEAST_READABLE_ZOOM) return;
    this.view(LEAST_READABLE_ZOOM, PADDING - this.bounds.x * LEAST_READABLE_ZOOM);
  }

  /** Show the middle of the graph at a zoom; `left` sets where its origin is from left to right. */
  view(zoom, left = null) {
    const { x, y, width, height } = this.bounds;
    const middle = {
      x: this.container.clientWidth / 2 - (x + width / 2) * zoom,
      y: this.container.clientHeight / 2 - (y + height / 2) * zoom,
    };
    this.cy.viewport({ zoom, pan: { x: left ?? middle.x, y: middle.y } });
    this.isMoved = false;
  }

  zoom(factor) {
    const { width, height } = this.container.getBoundingClientRect();
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: { x: width / 2, y: height / 2 } });
    this.isMoved = true;
  }

  onResize() {
    const size = `${this.container.clientWidth} ${this.container.clientHeight}`;
    if (this.cy === null || this.container.clientWidth === 0 || size === this.drawnSize) return;
    this.drawnSize = size;
    this.cy.resize();
    // The panel that opens narrows the frame; names that are being read keep their size.
    if (!this.isMoved && !(this.isSmall && this.selected !== null)) this.arrange();
    if (this.selected !== null) this.show(this.selected);
  }

  listen() {
    this.cy.on("tapstart", () => this.container.focus({ preventScroll: true }));
    this.cy.on("tap", "node", (event) => this.onSelect(Number(event.target.id())));
    this.cy.on("mouseover", "node", (event) =>
      this.onHover(Number(event.target.id()), event.target.renderedBoundingBox()),
    );
    this.cy.on("mouseout", "node", () => this.onHover(null));
    this.cy.on("dragpan scrollzoom pinchzoom", () => {
      this.isMoved = true;
      this.onHover(null);
    });
  }

  onKey(event) {
    const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
    const moves = { ArrowLeft: "needed", ArrowRight: "needing", ArrowUp: "above", ArrowDown: "below" };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in zooms) this.zoom(zooms[event.key]);
    else if (event.key === "0") this.fit();
    else if (event.key in moves) this.move(moves[event.key]);
    else return;
    event.preventDefault();
  }

  /** Select a neighbour of the selected step, or the first step if none is. */
  move(direction) {
    const step = this.model.byId.get(this.selected);
    if (step === undefined) {
      if (this.model.data.steps.length) this.onSelect(this.model.data.steps[0].id);
      return;
    }
    const own = this.layout.positions.get(step.id);
    const others = {
      needed: () => this.model.dependenciesOf(step),
      needing: () => this.model.dependents.get(step.id),
      above: () => this.inColumn(own, (y) => y < own.y),
      below: () => this.inColumn(own, (y) => y > own.y),
    }[direction]();
    const distance = (id) => Math.abs(this.layout.positions.get(id).y - own.y);
    if (others.length) this.onSelect(others.reduce((best, id) => (distance(id) < distance(best) ? id : best)));
  }

  inColumn(own, isWanted) {
    const places = [...this.layout.positions];
    return places.filter(([, place]) => place.x === own.x && isWanted(place.y)).map(([id]) => id);
  }

  styles() {
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const family = getComputedStyle(document.body).fontFamily;
    const label = this.isSmall
      ? { "text-valign": "center", color: color("on-state"), "font-size": 12 }
      : { "text-valign": "bottom", "text-margin-y": 3, color: color("ink"), "font-size": 10 };
    const hollow = this.isSmall ? { color: color("ink") } : {};
    return [
      {
        selector: "node",
        style: {
          ...this.look.node,
          shape: "round-rectangle",
          ...label,
          label: "data(label)",
          "font-family": family,
          "min-zoomed-font-size": 7,
          "border-width": this.look.border,
          "overlay-opacity": 0,
        },
      },
      ...CATEGORIES.map(({ key }) => ({
        selector: `node.${key}`,
        style: { "background-color": color(key), "border-color": color(key) },
      })),
      ...Object.entries(outlines(this.look.node)).map(([key, points]) => ({
        selector: `node.${key}`,
        style: { shape: "polygon", "shape-polygon-points": points.join(" ") },
      })),
      { selector: "node.CACHED", style: { ...hollow, "background-color": color("card") } },
      {
        selector: "node.WAITING",
        style: { ...hollow, shape: "rectangle", "background-color": color("card"), "border-style": "dashed" },
      },
      {
        selector: "node.chosen",
        style: {
          "border-width": this.look.border + 3,
          "border-color": color("accent"),
          "border-style": "solid",
          "z-index": 9,
        },
      },
      { selector: "node.dim", style: { opacity: 0.2 } },
      {
        selector: "edge",
        style: {
          width: 1.5,
          "line-color": color("edge"),
          "target-arrow-color": color("edge"),
          "overlay-opacity": 0,
          ...this.edgeStyle(),
        },
      },
      {
        selector: "edge.lineage",
        style: { "line-color": color("soft"), "target-arrow-color": color("soft"), width: 2, "z-index": 5 },
      },
      { selector: "edge.dim", style: { opacity: 0.12 } },
    ];
  }

  edgeStyle() {
    if (this.hasManyEdges) return { "curve-style": "haystack", "haystack-radius": 0, opacity: 0.5 };
    return {
      "curve-style": "unbundled-bezier",
      "control-point-weights": "data(weights)",
      "control-point-distances": "data(distances)",
      "edge-distances": "endpoints",
      "source-endpoint": "50% 0%",
      "target-endpoint": "-50% 0%",
      "target-arrow-shape": "triangle",
      "arrow-scale": 0.8,
    };
  }
}
