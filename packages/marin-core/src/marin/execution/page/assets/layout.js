// Where the steps of a graph go: layers from left to right, few crossings, no overlaps. For large graphs, all of it is
// linear in the steps and edges but for sorting, so that thousands of steps do not hold up the browser.

const MOST_LAYERS = 16;
const MOST_ROWS = 30;
const MOST_BENDS = 600;
const SWEEPS = 8;
const BEND_HEIGHT = 0.45; // of a row: a line takes less room than a step

/**
 * The positions of steps ({id, dependencies}), and where edges bend on their way around others.
 *
 * Small graphs are drawn in layers, edges through columns in between included. Others are packed towards `aspect`
 * (width to height): wide layers take several columns, and long chains several lines.
 *
 * @returns {{positions: Map<number, {x: number, y: number}>, bends: Map<string, {x: number, y: number}[]>}}
 */
function layoutGraph(steps, { columnPitch, rowPitch, aspect }) {
  const graph = indexGraph(steps);
  const layer = layersOf(graph);
  const depth = layer.reduce((most, own) => Math.max(most, own), -1) + 1;
  const net = depth <= MOST_LAYERS ? withBends(graph, layer) : null;
  if (net === null) {
    const columns = orderedLayers({ up: graph.before, down: graph.after, layer }, depth, () => 0);
    return { positions: byId(steps, placePacked(columns, rowPitch, columnPitch, aspect)), bends: new Map() };
  }
  const place = placeInLayers(orderedLayers(net, depth, countCrossings), net, steps.length, rowPitch, columnPitch);
  const bends = net.routes.map(([from, to, way]) => [
    edgeKey(steps[from].id, steps[to].id),
    way.map((at) => place[at]),
  ]);
  return { positions: byId(steps, place), bends: new Map(bends) };
}

function byId(steps, place) {
  return new Map(steps.map((step, at) => [step.id, place[at]]));
}

function edgeKey(from, to) {
  return `${from}>${to}`;
}

function indexGraph(steps) {
  const index = new Map(steps.map((step, at) => [step.id, at]));
  const before = steps.map((step, at) =>
    [...new Set(step.dependencies.map((id) => index.get(id)))].filter((other) => other !== undefined && other !== at),
  );
  const after = steps.map(() => []);
  before.forEach((others, at) => others.forEach((other) => after[other].push(at)));
  return { before, after };
}

/** The layer of each step: behind all that it needs; steps that need nothing are beside what needs them first. */
function layersOf({ before, after }) {
  const layer = new Array(before.length).fill(0);
  const missing = before.map((others) => others.length);
  const ready = [...before.keys()].filter((at) => missing[at] === 0);
  for (let next = 0; next < ready.length; next++) {
    for (const other of after[ready[next]]) {
      layer[other] = Math.max(layer[other], layer[ready[next]] + 1);
      if (--missing[other] === 0) ready.push(other);
    }
  }
  for (const at of ready) {
    if (!before[at].length && after[at].length) layer[at] = Math.max(0, nearest(after[at], layer) - 1);
  }
  return layer;
}

function nearest(others, layer) {
  return others.reduce((least, other) => Math.min(least, layer[other]), Infinity);
}

/** The graph with a point in every layer that an edge passes; null if that is too much to be drawn in layers. */
function withBends({ before }, layers) {
  const layer = [...layers];
  const rows = [];
  for (const own of layers) rows[own] = (rows[own] ?? 0) + 1;
  if (rows.some((number) => number > MOST_ROWS)) return null;
  const up = before.map(() => []);
  const down = before.map(() => []);
  const routes = [];
  const connect = (from, to) => {
    down[from].push(to);
    up[to].push(from);
  };
  for (let to = 0; to < before.length; to++) {
    for (const from of before[to]) {
      const way = [];
      for (let passed = layers[from] + 1; passed < layers[to]; passed++) {
        if (layer.length - before.length >= MOST_BENDS) return null;
        way.push(layer.push(passed) - 1);
        up.push([]);
        down.push([]);
      }
      [from, ...way].forEach((at, position, all) => connect(at, position + 1 < all.length ? all[position + 1] : to));
      if (way.length) routes.push([from, to, way]);
    }
  }
  return { up, down, layer, routes };
}

/** The members of each layer from top to bottom, neighbours of neighbours near one another. */
function orderedLayers(net, depth, crossingsOf) {
  const columns = Array.from({ length: depth }, () => []);
  for (const at of depthFirst(net)) columns[net.layer[at]].push(at);
  const place = new Array(net.layer.length).fill(0);
  const number = (column) => column.forEach((at, row) => (place[at] = (row + 0.5) / column.length));
  columns.forEach(number);
  let best = { crossings: Infinity, columns };
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForward = sweep % 2 === 0;
    for (const column of isForward ? columns : columns.toReversed()) {
      sortByNeighbours(column, isForward ? net.up : net.down, place);
      number(column);
    }
    const crossings = crossingsOf(columns, net, place);
    if (crossings <= best.crossings) best = { crossings, columns: columns.map((column) => [...column]) };
  }
  return best.columns;
}

/** Every vertex once, each chain in one go, so that parts without a connection stay apart. */
function depthFirst({ up, down }) {
  const seen = new Array(up.length).fill(false);
  const order = [];
  for (let root = 0; root < up.length; root++) {
    const waiting = [root];
    while (waiting.length) {
      const at = waiting.pop();
      if (seen[at]) continue;
      seen[at] = true;
      order.push(at);
      for (const other of [...down[at], ...up[at]].reverse()) if (!seen[other]) waiting.push(other);
    }
  }
  return order;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function sortByNeighbours(column, neighbours, place) {
  const wanted = new Map(
    column.map((at) => [at, neighbours[at].length ? mean(neighbours[at].map((other) => place[other])) : place[at]]),
  );
  column.sort((one, other) => wanted.get(one) - wanted.get(other) || place[one] - place[other]);
}

/** How many pairs of lines cross between neighbouring layers. */
function countCrossings(columns, { down }, place) {
  let crossings = 0;
  for (const column of columns) {
    const lines = column.flatMap((at) => down[at].map((other) => place[other]).sort((one, other) => one - other));
    for (let one = 0; one < lines.length; one++) {
      for (let other = one + 1; other < lines.length; other++) if (lines[other] < lines[one]) crossings++;
    }
  }
  return crossings;
}

function placeInLayers(columns, net, stepCount, rowPitch, columnPitch) {
  const height = (at) => (at < stepCount ? rowPitch : rowPitch * BEND_HEIGHT);
  const y = new Array(net.layer.length).fill(0);
  for (const column of columns)
    spread(
      column,
      column.map(() => 0),
      height,
      y,
    );
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForward = sweep % 2 === 0;
    const isLast = sweep >= SWEEPS - 2;
    for (const column of isForward ? columns : columns.toReversed()) {
      const wanted = column.map((at) => {
        const others = isLast ? [...net.up[at], ...net.down[at]] : isForward ? net.up[at] : net.down[at];
        return others.length ? mean(others.map((other) => y[other])) : y[at];
      });
      spread(column, wanted, height, y);
    }
  }
  return y.map((own, at) => ({ x: net.layer[at] * columnPitch, y: own }));
}

/** Set `y` of a column in its order, without overlaps and as near to the wanted places as that allows. */
function spread(column, wanted, height, y) {
  let offset = 0;
  const blocks = []; // of members that touch: their mean wanted place, how many they are
  const offsets = column.map((at, row) => {
    if (row) offset += (height(column[row - 1]) + height(at)) / 2;
    blocks.push({ sum: wanted[row] - offset, size: 1 });
    while (blocks.length > 1 && blocks.at(-2).sum / blocks.at(-2).size > blocks.at(-1).sum / blocks.at(-1).size) {
      const last = blocks.pop();
      blocks.at(-1).sum += last.sum;
      blocks.at(-1).size += last.size;
    }
    return offset;
  });
  let row = 0;
  for (const block of blocks) {
    for (let member = 0; member < block.size; member++, row++) y[column[row]] = block.sum / block.size + offsets[row];
  }
}

function placePacked(columns, rowPitch, columnPitch, aspect) {
  const rows = rowsForAspect(columns, rowPitch, columnPitch, aspect);
  const packed = columns.flatMap((column) => {
    const parts = Math.ceil(column.length / rows);
    const size = Math.ceil(column.length / parts);
    return Array.from({ length: parts }, (_, part) => column.slice(part * size, (part + 1) * size));
  });
  const tallest = packed.reduce((most, column) => Math.max(most, column.length), 1);
  const ratio = (packed.length * columnPitch) / (tallest * rowPitch * aspect);
  const lines = Math.max(1, Math.round(Math.sqrt(ratio * (tallest / (tallest + 1)))));
  const perLine = Math.ceil(packed.length / lines);
  const place = [];
  packed.forEach((column, position) => {
    const line = Math.floor(position / perLine);
    const middle = line * (tallest + 1) * rowPitch;
    column.forEach((at, row) => {
      place[at] = { x: (position % perLine) * columnPitch, y: middle + (row - (column.length - 1) / 2) * rowPitch };
    });
  });
  return place;
}

/** The fewest rows with which the columns of all layers are not wider than the aspect wants. */
function rowsForAspect(columns, rowPitch, columnPitch, aspect) {
  const tallest = columns.reduce((most, column) => Math.max(most, column.length), 1);
  let rows = 4;
  while (rows < tallest) {
    const width = columns.reduce((sum, column) => sum + Math.ceil(column.length / rows), 0) * columnPitch;
    if (width <= rows * rowPitch * aspect) break;
    rows = Math.ceil(rows * 1.15);
  }
  return rows;
}
