// Reads env files with one of the readers of the npm world: `node read.mjs READER < files.json > answers.json`.
// Runs in the folder that the packages are installed in. An answer is a table of variables, or what went wrong.
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, resolve } from "node:path"
import { pathToFileURL } from "node:url"

const require = createRequire(resolve("package.json"))

function dotenv(name) {
  const { config } = require(name)
  return path => config({ path, processEnv: {}, quiet: true }).parsed
}

function expanded(name) {
  const { expand } = require(name)
  return path => expand({ parsed: dotenv("dotenv17")(path), processEnv: {} }).parsed
}

async function vite() {
  const entry = require.resolve("vite")
  const { loadEnv } = await import(pathToFileURL(entry).href)
  return path => loadEnv("development", dirname(path), "")
}

function next() {
  const { loadEnvConfig } = require("@next/env")
  return path => {
    const { combinedEnv } = loadEnvConfig(dirname(path), true, { info() {}, error() {} }, true)
    return { ...combinedEnv } // the one that is returned is process.env itself, which the next call resets
  }
}

const READERS = {
  "dotenv 16": () => dotenv("dotenv16"),
  "dotenv 17": () => dotenv("dotenv17"),
  "dotenv 18": () => dotenv("dotenv18"),
  "dotenv-expand 12": () => expanded("dotenv-expand12"),
  "dotenv-expand": () => expanded("dotenv-expand"),
  "vite": vite,
  "next": next,
}

const read = await READERS[process.argv[2]]()
const answers = JSON.parse(readFileSync(0, "utf8")).map(({ path }) => {
  try {
    return { variables: read(path) }
  } catch (error) {
    return { error: String(error) }
  }
})
process.stdout.write(JSON.stringify(answers))
