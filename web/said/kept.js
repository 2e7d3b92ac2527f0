// What nodes said, and the map of their run, as long as the tab is open: a page that is loaded again shows it again. What is said is not in
// the workflow: who gets that has run nothing. The map is, but the front end only stores the graph again when a hand has changed it.
import { app } from "../../../scripts/app.js"

export const OURS = /^TextLayers[A-Z]/ // all nodes of the pack
const KEY = "text layers said"
const NONE = /^[0-]*$/ // the id of a workflow that has none of its own yet
const MOST = 200_000 // characters of all texts; the store has a few million, and is ComfyUI's as well
const MOST_QUEUED = 1000
// The number of a prompt that waits or runs -> the workflow that it was queued from, its nodes, and the values that they had, by their place.
const queued = new Map()
let sent // the same of one whose number has not come yet: what need not run is said before
let running // the number of the prompt that runs

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

/** The open one, as the front end holds it: of two that are open under one id, which. */
function opened() {
  return app.extensionManager.workflow.activeWorkflow
}

function* ours(graph) {
  for (const node of graph?.nodes ?? []) {
    if (OURS.test(node.comfyClass)) yield node
    if (node.subgraph) yield* ours(node.subgraph)
  }
}

/**
 * Notes which values a prompt was queued with: they may be others when it has run. queueing() is called before a prompt is sent,
 * refused(id, errors, isOfIt) for each node for which ComfyUI does not take it; isOfIt(node) is isOfThisRun of that prompt. By the call itself:
 * of ComfyUI's own hooks none has a prompt's number beside what was queued. A widget's beforeQueued comes without one, and promptQueued once
 * for a whole batch.
 */
export function watch(api, { queueing, refused }) {
  const queue = api.queuePrompt
  api.queuePrompt = async function (...given) {
    const nodes = [...ours(app.rootGraph ?? app.graph)]
    const asked = { workflow: opened(), nodes: new WeakSet(nodes), values: new Map(nodes.map((node) => [place(node), values(node)])) }
    sent = asked
    queueing()
    try {
      const answer = await queue.apply(this, given)
      queued.set(answer?.prompt_id, asked)
      if (queued.size > MOST_QUEUED) queued.delete(queued.keys().next().value)
      return answer
    } catch (error) {
      for (const [id, { errors }] of Object.entries(error?.response?.node_errors ?? {})) refused(id, errors ?? [], (node) => isOf(asked, node))
      throw error
    } finally {
      if (sent === asked) sent = undefined
    }
  }
  api.addEventListener("execution_start", ({ detail }) => {
    queued.delete(running) // not when it ends: why it failed is said then
    running = detail?.prompt_id
  })
}

/**
 * Whether a node of the open workflow is the one that runs, and not one of the same number in another workflow than the one that was queued:
 * the front end makes no difference.
 */
export function isOfThisRun(node) {
  const run = thisRun()
  return run === undefined || isOf(run, node) // nothing is known of one that was queued before the page was loaded
}

function thisRun() {
  return queued.get(running) ?? sent
}

/** A node that was there when the prompt was queued is known by itself: a workflow may get its id later. */
function isOf(run, node) {
  if (run.nodes.has(node)) return true
  const at = place(node)
  return run.values.has(at) && (run.workflow === opened() || (at !== null && run.values.get(at) === values(node)))
}

/** Of a node of this run. what: of several texts of one node, which. */
export function keep(node, text, what = "said") {
  const at = place(node)
  if (!at) return
  const asked = thisRun()?.values.get(at) ?? values(node)
  const all = [...read().filter((one) => one.at !== at || one.what !== what), { at, what, values: asked, text }]
  while (all.reduce((sum, one) => sum + one.text.length, 0) > MOST) all.shift()
  store(all)
}

export function forget(node) {
  const at = place(node)
  store(read().filter((one) => one.at !== at))
}

function store(all) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(all))
  } catch {
    // a full store: then it is not shown again
  }
}

/** What a node of the same values said last; undefined when nothing is known. */
export function kept(node, what = "said") {
  const at = place(node)
  return read().find((one) => one.at === at && one.what === what && one.values === values(node))?.text
}
