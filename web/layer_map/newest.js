// Draws what the map shows while one explores: the newest click alone. Pictures of clicks before it are no longer asked for.
import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"

const asked = new Set() // the numbers of prompts that clicks have queued
// How a click queues: at the end, as 0 does for ComfyUI, and yet known among the prompts that hands and batches queue. A count of clicks would
// not tell them apart: a click may be refused, and the front end may queue it behind others that it has still to send.
const CLICK = -0

function post(path, body) {
  return api.fetchApi(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })
}

/** Once, when the page is set up. */
export function watchQueue() {
  const queue = api.queuePrompt
  api.queuePrompt = async function (...given) {
    const answer = await queue.apply(this, given)
    if (Object.is(given[0], CLICK) && answer?.prompt_id) asked.add(answer.prompt_id)
    return answer
  }
  for (const end of ["execution_success", "execution_error", "execution_interrupted"])
    api.addEventListener(end, ({ detail }) => asked.delete(detail?.prompt_id))
}

export async function drawNewest() {
  const stale = [...asked]
  asked.clear()
  const queueing = app.queuePrompt(CLICK)
  if (stale.length) await post("/queue", { delete: stale })
  for (const prompt_id of stale) await post("/interrupt", { prompt_id }) // does nothing to one that does not run
  await queueing
}
