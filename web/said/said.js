// What a node says, as an element. It may come from a stranger's file: it is text and nothing else, whatever is written in it.

// Pixels, as in said.css.
const LINE = 16
const FRAME = 16
const LETTER = 6.2 // a usual letter's width
const MOST_LINES = 14 // then it is scrolled
const MOST = 20_000 // characters; nodes/live.py cuts there

export class Said {
  constructor() {
    this.text = ""
    this.wrong = false
    this.element = document.createElement("div")
    this.element.className = "text-layers-said"
    this.element.setAttribute("role", "status")
    this.element.tabIndex = 0
    // Its text can be selected and scrolled: the node is not moved by it, nor the canvas zoomed while there is something to scroll.
    for (const kind of ["pointerdown", "pointermove", "pointerup"]) this.element.addEventListener(kind, (event) => event.stopPropagation())
  }

  say(text, wrong = false) {
    this.text = String(text).slice(0, MOST)
    this.wrong = wrong
    this.element.textContent = this.text
    this.element.classList.toggle("wrong", wrong)
  }

  scrolls() {
    return this.element.scrollHeight > this.element.clientHeight
  }

  /** width: of the node. Both in pixels. */
  height(width) {
    const fit = Math.max(1, Math.floor((width - 3 * FRAME) / LETTER))
    const lines = this.text.split("\n", MOST_LINES).reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / fit)), 0)
    return FRAME + LINE * Math.min(MOST_LINES, lines)
  }
}
