// The text of a list of text layers, as the nodes read it (patching/text_layers.py): "55-57, 10:0+3".

/** The numbers from first to last. */
export function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n)
}

/** The layers that an item names, or null where the model has none of that name or number. */
function find(item, names) {
  const span = item.match(/^(\d+)(?:-(\d+))?$/)
  if (!span) {
    const named = [...names.keys()].filter((n) => names[n] === item || names[n].slice(0, names[n].lastIndexOf(".")) === item)
    return named.length ? named : null
  }
  const [first, last] = [Number(span[1]), Number(span[2] ?? span[1])]
  return first <= last && last < names.length ? range(first, last) : null
}

/**
 * text: items separated by commas or white space. names: module paths of all text layers, in execution order.
 * Returns {chosen: Set of numbers, heads: Map of number to "0+3", unknown: [items that are no layer of the model]}.
 */
export function parse(text, names) {
  const [chosen, heads, unknown] = [new Set(), new Map(), []]
  for (const item of text.split(/[,\s]+/).filter(Boolean)) {
    const parts = item.match(/^([^:]+)(?::(\d+(?:\+\d+)*))?$/)
    const found = parts && find(parts[1], names)
    if (!found) unknown.push(item)
    for (const layer of found ?? []) {
      chosen.add(layer)
      if (parts[2]) heads.set(layer, parts[2])
    }
  }
  return { chosen, heads, unknown }
}

/** The shortest text for chosen layers: neighbours as a range, those with heads by themselves. */
export function write(chosen, heads = new Map()) {
  const items = []
  for (const layer of [...chosen].sort((a, b) => a - b)) {
    const before = items.at(-1)
    if (heads.has(layer)) items.push({ first: layer, last: layer, heads: heads.get(layer) })
    else if (before && before.last === layer - 1 && !before.heads) before.last = layer
    else items.push({ first: layer, last: layer })
  }
  return items.map(({ first, last, heads: own }) => (first === last ? `${first}${own ? `:${own}` : ""}` : `${first}-${last}`)).join(", ")
}
