// How a model's text layers lie on the map: a U of down, middle and up blocks, or rows.

const SIDES = [
  ["down", /^(input|down)_blocks\./],
  ["middle", /^(middle|mid)_block\b/],
  ["up", /^(output|up)_blocks\./],
]
const LONGEST_ROW = 20

/**
 * names: module paths in execution order. Returns {kind: "u" | "rows", parts: [{side, rows: [[layer numbers]]}]}. In a U the sides are
 * down, middle and up with a row for each block, the up side's last block first, so that the middle is the U's bottom. Otherwise there is
 * a part for each kind of block, such as double_blocks and single_blocks.
 */
export function shape(names) {
  const sides = names.map((name) => SIDES.find(([, begins]) => begins.test(name))?.[0])
  if (sides.every(Boolean) && sides.includes("up")) {
    const block = (name) => name.split(".").slice(0, 2).join(".")
    const parts = grouped(sides).map(({ key, layers }) => ({ side: key, rows: grouped(names.map(block), layers).flatMap((row) => wrapped(row.layers)) }))
    parts.find(({ side }) => side === "up").rows.reverse()
    return { kind: "u", parts }
  }
  const kinds = names.map((name) => name.split(".")[0])
  return { kind: "rows", parts: grouped(kinds).map(({ key, layers }) => ({ side: key, rows: wrapped(layers) })) }
}

/** [{key, layers}] of the layers, those with one key together. */
function grouped(keys, layers = keys.map((_, layer) => layer)) {
  const groups = new Map()
  for (const layer of layers) groups.set(keys[layer], [...(groups.get(keys[layer]) ?? []), layer])
  return [...groups].map(([key, found]) => ({ key, layers: found }))
}

/** Rows of nearly equal length. */
function wrapped(layers) {
  const length = Math.ceil(layers.length / Math.ceil(layers.length / LONGEST_ROW))
  const rows = []
  for (let first = 0; first < layers.length; first += length) rows.push(layers.slice(first, first + length))
  return rows
}
