// The map of the text layers, on the nodes that make or bring TEXT_LAYERS.
import { app } from "../../scripts/app.js"
import { parse, write } from "./layer_map/layer_list.js"
import { LayerMap } from "./layer_map/layer_map.js"
import { drawNewest, watchQueue } from "./layer_map/newest.js"
import { load as loadTexts } from "./layer_map/texts.js"
import { isOfThisRun, keep, kept } from "./said/kept.js"
import { VERSION } from "./version.js"

const NODES = ["TextLayersChoose", "TextLayersLoad", "TextLayersLocalize", "TextLayersCheckLayers"]
const BY_HAND = "written below" // the option of Text Layers' choice that reads the list
// In a node's properties, so that a workflow opens with its maps.
const KEPT = "text layers map"
const EXPLORING = "text layers explore"
const [WIDTH, MARGIN] = [320, 4] // pixels
const MOST_LAYERS = 1000
const MOST_FRAMES = 100
const lastElement = new Map() // by the node's number
const shows = new WeakMap() // node -> draws its map anew

/** What nodes/layer_map.py said of a run, or a map of no layers for anything else: a workflow may hold anything. */
function ofRun(value) {
  const names = value?.names
  const is = Array.isArray(names) && names.length <= MOST_LAYERS && names.every((name) => typeof name === "string")
  if (!is) return { names: [], chosen: "", published: "", scores: {}, doubt: "" }
  const text = (list) => (typeof list === "string" ? list : "")
  const scores = Object.entries(value.scores ?? {}).filter(([layer, score]) => names[layer] !== undefined && Number.isFinite(score))
  return { names, chosen: text(value.chosen), published: text(value.published), scores: Object.fromEntries(scores), doubt: text(value.doubt) }
}

function addMap(node) {
  const widget = (name) => node.widgets?.find((w) => w.name === name)
  const [choice, list] = [widget("choice"), widget("layers")]
  const isLinked = (input, slot) => ["choice", "layers"].includes(input.widget?.name) && node.isInputConnected(slot)
  const written = () => !node.inputs?.some(isLinked)
  const map = new LayerMap({
    change(chosen, heads = state().heads) {
      choice.value = BY_HAND
      choice.callback?.(choice.value)
      list.value = write(chosen, heads)
      list.callback?.(list.value)
      node.setDirtyCanvas(true, true)
      if (node.properties[EXPLORING]) drawNewest()
    },
    explore(on) {
      node.properties[EXPLORING] = on
      show()
    },
  })

  function state() {
    const run = ofRun(node.properties[KEPT])
    const editable = list !== undefined && run.names.length > 0 && written()
    const asWritten = editable && choice.value === BY_HAND
    const { chosen, heads, unknown } = parse(asWritten ? String(list.value) : list ? run.published : run.chosen, run.names)
    const exploring = editable && node.properties[EXPLORING] === true
    return { names: run.names, scores: run.scores, chosen, heads, unknown, editable, exploring, doubt: list ? "" : run.doubt }
  }

  function show() {
    map.show(state())
    const height = node.computeSize()[1]
    if (node.size[1] < height || node.size[0] < WIDTH) node.setSize([Math.max(WIDTH, node.size[0]), Math.max(height, node.size[1])])
  }

  // Zooming goes on where the mouse is over the map.
  map.element.addEventListener("wheel", (event) => {
    event.preventDefault()
    event.stopPropagation()
    app.canvas.canvas.dispatchEvent(new WheelEvent("wheel", event))
  })
  const height = () => map.height() + 2 * MARGIN
  const shown = node.addDOMWidget("text layers map", "text_layers_map", map.element, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: height,
    getMaxHeight: height,
    getValue: () => "",
  })
  shown.serialize = false
  after(choice, "callback", show)
  after(list, "callback", show)
  after(node, "onConfigure", show)
  after(node, "onAdded", () => {
    replaceElement(node, map.element)
    show()
  })
  after(node, "onConnectionsChange", show)
  after(node, "onExecuted", (output) => {
    if (!output?.text_layers || !isOfThisRun(node)) return
    node.properties[KEPT] = output.text_layers[0]
    keep(node, JSON.stringify(output.text_layers[0]), "map")
    show()
  })
  shows.set(node, show)
  show()
}

/**
 * The front end's Vue nodes keep showing the element of a node that another of the same number has replaced, as undo does: puts the new
 * one in its place, where it has not been shown by itself. A busy page may take many frames until it shows either.
 */
function replaceElement(node, element) {
  const before = lastElement.get(node.id)
  lastElement.set(node.id, element)
  let frames = 0
  const look = () => {
    if (element.isConnected) return
    if (before.isConnected) before.replaceWith(element)
    else if (++frames < MOST_FRAMES) requestAnimationFrame(look)
  }
  if (before) setTimeout(look, 100) // by then it is shown on most machines, and nothing has to be done
}

/** Calls `then` whenever object's method has been called. */
function after(object, method, then) {
  if (!object) return
  const first = object[method]
  object[method] = function (...values) {
    const result = first?.apply(this, values)
    then(...values)
    return result
  }
}

app.registerExtension({
  name: "text_layers.map",
  // In Settings > About, which the form for bugs asks for.
  aboutPageBadges: [{ label: `Text Layers ${VERSION}`, url: "https://github.com/text-layers/text-layers", icon: "pi pi-github" }],
  async setup() {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("layer_map/layer_map.css", import.meta.url) })
    document.head.append(style)
    watchQueue()
    await loadTexts()
  },
  nodeCreated(node) {
    if (NODES.includes(node.comfyClass)) addMap(node)
  },
  loadedGraphNode(node) {
    const run = shows.has(node) ? kept(node, "map") : undefined
    if (run === undefined) return
    node.properties[KEPT] = JSON.parse(run)
    shows.get(node)()
  },
})
