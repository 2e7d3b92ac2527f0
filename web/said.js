// What our nodes say while they work and when they have done, drawn on them as text.
//
// ComfyUI's own widget for it takes the text for HTML or for Markdown, by the front end's version and renderer, so that a stranger's file
// could draw pictures from its own server and links; and newer ones take the widget away when the run ends.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"
import { forget, isOfThisRun, keep, kept, OURS, watch } from "./said/kept.js"
import { Said } from "./said/said.js"

const EVENT = "text_layers.said" // of nodes/live.py
const NAME = "text layers said"
const [WIDTH, MARGIN] = [320, 4] // pixels

function widgetOf(node) {
  return node.widgets?.find(({ name }) => name === NAME)
}

/** wrong: it is why the node failed. */
function say(node, text, wrong = false) {
  const widget = widgetOf(node) ?? addWidget(node)
  widget.said.say(text, wrong)
  const [width, height] = [Math.max(WIDTH, node.size[0]), node.computeSize()[1]]
  if (node.size[0] < width || node.size[1] < height) node.setSize([width, Math.max(height, node.size[1])])
  node.setDirtyCanvas?.(true, true)
}

function addWidget(node) {
  const said = new Said()
  const height = () => said.height(node.size[0]) + 2 * MARGIN
  const widget = node.addDOMWidget(NAME, "text_layers_said", said.element, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: height,
    getMaxHeight: height,
    getValue: () => said.text,
  })
  widget.serialize = false
  widget.said = said
  said.element.addEventListener("wheel", (event) => {
    event.stopPropagation()
    if (said.scrolls() && !event.ctrlKey) return
    event.preventDefault()
    app.canvas.canvas.dispatchEvent(new WheelEvent("wheel", event))
  })
  return widget
}

/** id: of a node that runs; "3:5" is node 5 in the subgraph that node 3 is. */
function find(id) {
  let [graph, node] = [app.rootGraph ?? app.graph, undefined]
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById(part)
    graph = node?.subgraph
  }
  return node
}

/** Newer front ends say of a failed node no more than that it has failed. What it said before holds no longer. */
function fail(node, text, isOfIt = isOfThisRun) {
  if (!OURS.test(node?.comfyClass) || !isOfIt(node)) return
  forget(node)
  say(node, text, true)
}

/** What a node says of a value itself stands behind the input's name. */
function why({ type, message, details }) {
  if (type === "custom_validation_failed") return details.slice(details.indexOf(" - ") + 3)
  return details ? `${message}: ${details}` : message
}

/** An error belongs to the run that ended with it. */
function clearErrors(graph) {
  for (const node of graph?.nodes ?? []) {
    if (widgetOf(node)?.said.wrong) say(node, "")
    clearErrors(node.subgraph)
  }
}

app.registerExtension({
  name: "text_layers.said",
  setup() {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("said/said.css", import.meta.url) })
    document.head.append(style)
    watch(api, {
      queueing: () => clearErrors(app.rootGraph ?? app.graph),
      refused(id, errors, isOfIt) {
        fail(find(id), errors.map(why).join("\n"), isOfIt)
      },
    })
    api.addEventListener("execution_error", ({ detail }) => fail(find(detail?.node_id), String(detail?.exception_message ?? "").trim()))
    api.addEventListener(EVENT, ({ detail }) => {
      const node = find(detail.node)
      if (OURS.test(node?.comfyClass) && isOfThisRun(node)) say(node, detail.text)
    })
  },
  nodeCreated(node) {
    if (!OURS.test(node.comfyClass)) return
    const first = node.onExecuted
    node.onExecuted = function (output) {
      first?.apply(this, arguments)
      if (!Array.isArray(output?.text)) return
      if (isOfThisRun(this)) {
        const text = output.text.join("\n")
        say(this, text)
        keep(this, text)
      }
      if (this.comfyClass === "TextLayersSave") app.refreshComboInNodes?.() // Load Text Layers then offers the new file
    }
  },
  loadedGraphNode(node) {
    const text = OURS.test(node.comfyClass) ? kept(node) : undefined
    if (text !== undefined) say(node, text)
  },
})
