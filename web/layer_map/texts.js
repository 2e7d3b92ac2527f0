// The map's own words in the front end's language; they are in locales/*/main.json.
import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"

let served = {}

export async function load() {
  const answer = await api.fetchApi("/i18n")
  if (answer.ok) served = await answer.json()
}

/** text("chosen", {count: 3, total: 9}); group: the words' part of main.json. */
export function text(key, values = {}, group = "textLayersMap") {
  const language = app.extensionManager.setting.get("Comfy.Locale")
  const words = served[language]?.[group] ?? served.en?.[group] ?? {}
  return Object.entries(values).reduce((said, [name, value]) => said.replace(`{${name}}`, () => value), words[key] ?? key)
}
