// The list of word pairs: tall enough to be read, and filled from a file.
import { app } from "../../scripts/app.js"
import { text } from "./layer_map/texts.js"

const NODES = ["TextLayersLocalize", "TextLayersCheckLayers"]
const HEIGHT = 150 // pixels; eight lines and their frame
const LARGEST = 2 ** 20 // bytes; the list is a part of the workflow

function choose(list, node) {
  const input = Object.assign(document.createElement("input"), { type: "file", accept: ".csv,.tsv,.txt" })
  input.addEventListener("change", async () => {
    const file = input.files[0]
    if (!file) return
    if (file.size > LARGEST) {
      app.extensionManager.toast.add({ severity: "error", summary: text("tooLarge", {}, "textLayersPairs"), life: 8000 })
      return
    }
    list.value = (await file.text()).replace(/\r\n?/g, "\n")
    list.callback?.(list.value)
    node.setDirtyCanvas(true, true)
  })
  input.click()
}

app.registerExtension({
  name: "text_layers.pairs",
  nodeCreated(node) {
    const list = NODES.includes(node.comfyClass) && node.widgets?.find(({ name }) => name === "word_pairs")
    if (!list) return
    list.options.getMinHeight = () => HEIGHT
    const button = node.addWidget("button", text("file", {}, "textLayersPairs"), null, () => choose(list, node), { serialize: false })
    button.serialize = false
    const [width, height] = node.computeSize()
    node.setSize([Math.max(width, node.size[0]), Math.max(height, node.size[1])])
  },
})
