// The map's element: a listbox with a cell for each text layer. It knows no nodes.
import { parse, range, write } from "./layer_list.js"
import { shape } from "./shape.js"
import { text } from "./texts.js"

// Pixels, as in layer_map.css.
const FRAME = 68
const ROW = 20
const NUMBERED_ROW = 34
const LONGEST = 60 // characters of a pasted text that is shown
const FEW = 24 // so many layers at most have their numbers below them

/**
 * change(chosen: Set of layer numbers, heads of what was pasted) is called when the user has chosen; explore(on: bool) when the box in the map's head is ticked.
 * show() draws a state; element is what the widget holds; height() its height in pixels.
 */
export class LayerMap {
  constructor({ change, explore }) {
    this.change = change
    this.state = { names: [], chosen: new Set(), heads: new Map(), scores: {}, unknown: [], editable: false, exploring: false }
    this.focused = 0
    this.element = element("div", "text-layers-map")
    this.count = element("span", "count")
    this.tick = element("input")
    this.tick.type = "checkbox"
    this.tick.addEventListener("change", () => explore(this.tick.checked))
    this.explore = element("label", "explore")
    this.exploreText = element("span")
    this.explore.append(this.tick, this.exploreText)
    const head = element("div", "head")
    head.append(this.count, this.explore)
    this.cells = element("div", "cells")
    this.cells.setAttribute("role", "listbox")
    this.cells.setAttribute("aria-multiselectable", "true")
    this.said = element("div", "said")
    this.said.setAttribute("role", "status")
    this.element.append(head, this.cells, this.said)
    this.listen()
  }

  /** state: {names, chosen, heads, scores: {number: score}, unknown, editable, exploring, doubt: what was not shown of the chosen ones}; no names: nothing is known of the model yet. */
  show(state) {
    const sameModel = state.names.join() === this.state.names.join() && this.cells.childElementCount
    this.state = state
    if (!sameModel) this.build()
    this.explore.hidden = !state.editable
    this.tick.checked = state.exploring
    this.exploreText.textContent = text("explore")
    this.explore.title = text("exploreHelp")
    this.cells.setAttribute("aria-label", text("map"))
    this.cells.setAttribute("aria-readonly", String(!state.editable))
    this.cells.title = text(state.editable ? "keys" : "readOnly")
    this.paint(state.chosen)
    this.say()
  }

  height() {
    return FRAME + this.rows() * (this.numbered() ? NUMBERED_ROW : ROW)
  }

  /** How many rows lie below each other. */
  rows() {
    if (!this.state.names.length) return 0
    const { kind, parts } = this.shape
    const count = (side) => parts.find((part) => part.side === side)?.rows.length ?? 0
    if (kind === "u") return Math.max(count("down"), count("up")) + count("middle")
    return parts.reduce((sum, { rows }) => sum + rows.length, 0)
  }

  numbered() {
    return this.state.names.length <= FEW
  }

  build() {
    this.shape = shape(this.state.names)
    this.focused = 0
    this.cellOf = []
    this.cells.className = `cells ${this.shape.kind}${this.numbered() ? " numbered" : ""}`
    this.cells.replaceChildren(
      ...this.shape.parts.map(({ side, rows }) => {
        const part = element("div", `part ${side}`)
        part.setAttribute("role", "group")
        part.setAttribute("aria-label", this.shape.kind === "u" ? text(side) : side)
        for (const row of rows) {
          const line = element("div", "line")
          line.setAttribute("role", "presentation")
          line.append(...row.map((layer) => this.cell(layer)))
          part.append(line)
        }
        return part
      }),
    )
  }

  cell(layer) {
    const cell = element("div", "cell")
    cell.setAttribute("role", "option")
    cell.dataset.layer = layer
    cell.append(element("div", "bar"))
    cell.firstChild.append(element("div", "score"))
    if (this.numbered()) {
      const number = element("div", "number")
      number.textContent = layer
      cell.append(number)
    }
    this.cellOf[layer] = cell
    return cell
  }

  /** chosen: what the cells show, which is the state's or, during a drag, what it would be. */
  paint(chosen) {
    const { names, scores } = this.state
    const most = Math.max(...Object.values(scores), 0)
    names.forEach((name, layer) => {
      const cell = this.cellOf[layer]
      const score = scores[layer]
      const height = most > 0 ? (100 * Math.max(0, score ?? 0)) / most : chosen.has(layer) ? 100 : 0
      cell.querySelector(".score").style.height = `${height}%`
      cell.setAttribute("aria-selected", String(chosen.has(layer)))
      cell.setAttribute("aria-label", this.describe(layer))
      cell.tabIndex = layer === this.focused ? 0 : -1
    })
    this.count.textContent = names.length ? text("chosen", { count: chosen.size, total: names.length }) : ""
    if (names.length && this.state.doubt) this.count.textContent += `, ${text("doubt")}`
    this.count.title = this.state.doubt ?? ""
  }

  describe(layer) {
    const { names, scores, heads } = this.state
    const parts = [`${text("layer", { index: layer })}: ${names[layer]}`]
    if (heads.has(layer)) parts.push(text("heads", { heads: heads.get(layer) }))
    if (scores[layer] !== undefined) parts.push(text("score", { score: scores[layer].toFixed(3) }))
    return parts.join(", ")
  }

  /** The line below the cells: a layer, by itself the one that has the keyboard, or what the user should know. */
  say(layer = this.cells.contains(document.activeElement) ? this.focused : undefined) {
    const { names, unknown } = this.state
    this.said.classList.toggle("wrong", unknown.length > 0 && layer === undefined)
    if (layer !== undefined) this.said.textContent = this.describe(layer)
    else if (!names.length) this.said.textContent = text("runOnce")
    else this.said.textContent = unknown.length ? text("unknown", { items: unknown.join(", ") }) : (this.state.doubt ?? "")
  }

  listen() {
    const at = (event) => {
      const found = document.elementFromPoint(event.clientX, event.clientY)?.closest?.("[data-layer]")
      return found && this.cells.contains(found) ? Number(found.dataset.layer) : undefined
    }
    let drag
    this.cells.addEventListener("pointerdown", (event) => {
      const first = at(event)
      if (event.button !== 0 || first === undefined) return
      event.stopPropagation() // the node would be moved
      this.focus(first)
      if (!this.state.editable) return
      this.cells.setPointerCapture(event.pointerId)
      drag = { first, last: first, adds: event.ctrlKey || event.metaKey }
      this.paint(this.dragged(drag))
    })
    this.cells.addEventListener("pointermove", (event) => {
      const layer = at(event)
      if (drag && layer !== undefined && layer !== drag.last) {
        drag.last = layer
        this.paint(this.dragged(drag))
      }
      if (layer !== undefined) this.say(layer)
    })
    this.cells.addEventListener("pointerleave", () => this.say())
    this.cells.addEventListener("pointerup", () => {
      if (drag) this.choose(this.dragged(drag))
      drag = undefined
    })
    this.cells.addEventListener("pointercancel", () => {
      drag = undefined
      this.paint(this.state.chosen)
    })
    this.cells.addEventListener("focusin", (event) => this.say(Number(event.target.dataset.layer)))
    this.cells.addEventListener("focusout", () => this.say())
    this.cells.addEventListener("keydown", (event) => this.pressed(event))
    this.cells.addEventListener("copy", (event) => {
      event.clipboardData.setData("text/plain", write(this.state.chosen, this.state.heads))
      event.preventDefault()
      event.stopPropagation() // ComfyUI would copy the node
    })
    this.cells.addEventListener("paste", (event) => {
      event.preventDefault()
      event.stopPropagation()
      this.paste(event.clipboardData.getData("text/plain"))
    })
  }

  /**
   * What a click on a layer, or a drag over several, would choose: all of them if the first was not chosen, otherwise none of them.
   * Who explores takes them alone, unless Control is held.
   */
  dragged({ first, last, adds }) {
    const layers = span(first, last)
    if (this.state.exploring && !adds) return new Set(layers)
    const chosen = new Set(this.state.chosen)
    for (const layer of layers) {
      if (this.state.chosen.has(first)) chosen.delete(layer)
      else chosen.add(layer)
    }
    return chosen
  }

  choose(chosen) {
    const before = this.state.chosen
    if (chosen.size !== before.size || [...chosen].some((layer) => !before.has(layer)) || this.state.exploring) this.change(chosen)
  }

  /** Layers as a text, from another graph's map, say. */
  paste(list) {
    if (!this.state.editable) return
    const { chosen, heads, unknown } = parse(list, this.state.names)
    if (chosen.size && !unknown.length) this.change(chosen, heads)
    else this.said.textContent = text("unknown", { items: list.slice(0, LONGEST) })
  }

  pressed(event) {
    const { names, editable, chosen } = this.state
    const last = names.length - 1
    const from = this.focused
    const moves = {
      Home: () => 0,
      End: () => last,
      ArrowLeft: () => Math.max(0, from - 1),
      ArrowRight: () => Math.min(last, from + 1),
      ArrowUp: () => this.nearest(-1),
      ArrowDown: () => this.nearest(1),
    }
    if (!names.length) return
    if (moves[event.key]) {
      const to = moves[event.key]()
      this.focus(to)
      if (event.shiftKey && editable) this.choose(new Set([...chosen, ...span(from, to)]))
    } else if (event.key === " " || event.key === "Enter") {
      if (editable) this.choose(this.dragged({ first: from, last: from, adds: event.ctrlKey || event.metaKey }))
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      if (editable) this.choose(new Set(names.keys()))
    } else return
    event.preventDefault()
    event.stopPropagation() // ComfyUI's own shortcuts
  }

  focus(layer) {
    this.cellOf[this.focused].tabIndex = -1
    this.focused = layer
    this.cellOf[layer].tabIndex = 0
    this.cellOf[layer].focus({ preventScroll: true })
  }

  /** The nearest layer above (-1) or below (1) the focused one; itself where there is none. */
  nearest(direction) {
    const centres = this.cellOf.map((cell) => {
      const box = cell.getBoundingClientRect()
      return [box.x + box.width / 2, box.y + box.height / 2]
    })
    const [x, y] = centres[this.focused]
    const distances = centres.map(([otherX, otherY]) => {
      const away = direction * (otherY - y)
      return away > 1 ? away + 2 * Math.abs(x - otherX) : Infinity
    })
    const least = Math.min(...distances)
    return least < Infinity ? distances.indexOf(least) : this.focused
  }
}

function element(tag, className = "") {
  return Object.assign(document.createElement(tag), { className })
}

function span(a, b) {
  return range(Math.min(a, b), Math.max(a, b))
}
