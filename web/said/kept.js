// What nodes said, as long as the tab is open: a page that is loaded again shows it again. Not in the workflow: who gets that has run nothing.
import { app } from "../../../scripts/app.js"

const KEY = "text layers said"
const NONE = /^[0-]*$/ // the id of a workflow that has none of its own yet
const MOST = 200_000 // characters of all texts; the store has a few million, and is ComfyUI's as well

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? []
  } catch {
    return []
  }
}

/** A node's place in its workflow; null where that cannot be known again. */
function place(node) {
  const workflow = String((app.rootGraph ?? app.graph)?.id ?? "")
  return node.graph && !NONE.test(workflow) ? `${workflow}/${node.graph.id}/${node.id}/${node.type}` : null
}

function values(node) {
  return JSON.stringify((node.widgets ?? []).filter((widget) => widget.serialize !== false).map((widget) => widget.value))
}

export function keep(node, text) {
  const at = place(node)
  if (!at) return
  const all = [...read().filter((one) => one.at !== at), { at, values: values(node), text }]
  while (all.reduce((sum, one) => sum + one.text.length, 0) > MOST) all.shift()
  try {
    sessionStorage.setItem(KEY, JSON.stringify(all))
  } catch {
    // a full store: then it is not shown again
  }
}

/** What a node of the same values said last; undefined when nothing is known. */
export function kept(node) {
  const at = place(node)
  return read().find((one) => one.at === at && one.values === values(node))?.text
}
