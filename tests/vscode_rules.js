// What VS Code's task engine makes of a background task's output, by the rules of its problem collectors
// (src/vs/workbench/contrib/tasks/common/problemCollectors.ts and problemMatcher.ts, read at 1.139; not a copy).
//
// Standard input: {"folder": …, "matchers": […], "lines": […]}; null among the lines stands for three quiet seconds.
// Standard output: for each line {"begins": [owner…], "ends": [owner…], "problems": [{owner, file, line, message}…]}.
"use strict"

const fs = require("fs")
const path = require("path")

const { folder, matchers, lines } = JSON.parse(fs.readFileSync(0, "utf8"))
const PROPERTIES = ["file", "message", "code", "severity", "location", "line", "column"]

class Matcher {
  constructor(config) {
    this.owner = config.owner
    this.several = Array.isArray(config.pattern)
    this.patterns = [].concat(config.pattern).map((pattern) => {
      // Only a pattern of one line has default groups; one with a location has none for line and column.
      const defaults = this.several ? {} : pattern.location ? { file: 1, message: 0 } : { file: 1, line: 2, column: 3, message: 0 }
      return { ...defaults, ...pattern, regexp: new RegExp(pattern.regexp) }
    })
    const background = config.background
    if (background) {
      this.begins = new RegExp(background.beginsPattern)
      this.ends = new RegExp(background.endsPattern)
    }
    this.active = Boolean(background && background.activeOnStart)
    const [kind, prefix] = config.fileLocation
    if (kind !== "autoDetect" || prefix !== "${workspaceFolder}") throw new Error("another fileLocation than known here")
    if (this.patterns.some((pattern) => pattern.loop)) throw new Error("a loop is not known here")
  }

  // The problem that these lines are, as many as there are patterns.
  match(window) {
    const data = {}
    for (const [index, pattern] of this.patterns.entries()) {
      const groups = pattern.regexp.exec(window[index])
      if (!groups) return null
      for (const property of PROPERTIES) {
        const text = groups[pattern[property]]
        if (data[property] === undefined && text !== undefined) data[property] = text.trim()
      }
    }
    const [line, column] = data.location ? data.location.split(",") : [data.line, data.column]
    if (!data.file || !line || !data.message) return null
    const below = path.join(folder, data.file)
    const file = fs.existsSync(below) ? below : path.normalize(data.file)
    return { owner: this.owner, file, line: parseInt(line), column: column && parseInt(column), message: data.message }
  }
}

const known = matchers.map((config) => new Matcher(config))
const longest = Math.max(...known.map((matcher) => matcher.patterns.length))
const shown = new Map() // "owner file" -> problems: what the Problems view holds
const stale = new Map() // owner -> the keys of `shown` that its cycle's end takes away
let found = new Map() // what was found and is perhaps not shown yet
let current = null // the key that the last problem was found for
let window = []

const key = (problem) => `${problem.owner} ${problem.file}`
const show = () => current && found.has(current) && shown.set(current, [...found.get(current).values()])
const forget = () => { found = new Map() }
const mark = (owner) => stale.set(owner, new Set([...shown.keys()].filter((one) => one.startsWith(`${owner} /`))))

function begin(line) {
  const begun = known.filter((matcher) => matcher.begins && matcher.begins.test(line) && !matcher.active)
  for (const matcher of begun) {
    matcher.active = true
    forget()
    current = null
    mark(matcher.owner)
  }
  return begun.map((matcher) => matcher.owner)
}

function end(line) {
  const ended = known.filter((matcher) => matcher.ends && matcher.ends.test(line) && matcher.active)
  for (const matcher of ended) {
    matcher.active = false
    show()
    current = null
    for (const one of stale.get(matcher.owner) || []) shown.delete(one)
    stale.delete(matcher.owner)
    forget()
  }
  return ended.map((matcher) => matcher.owner)
}

function problem(line) {
  window = [...window, line].slice(-longest)
  for (let start = 0; start < window.length; start++) {
    for (const matcher of known.filter((one) => one.patterns.length === window.length - start)) {
      const match = matcher.match(window.slice(start))
      if (match) {
        window = []
        return match
      }
    }
  }
  return null
}

function look(line) {
  const match = problem(line)
  if (!match) return
  const one = key(match)
  if (stale.has(match.owner)) stale.get(match.owner).delete(one)
  if (!found.has(one)) found.set(one, new Map())
  const place = `${match.line}:${match.column}`
  if (!found.get(one).has(place)) found.get(one).set(place, match)
  if (current !== one) show()
  current = one
}

for (const matcher of known) if (matcher.active) mark(matcher.owner)
const told = lines.map((line) => {
  const begins = line === null ? [] : begin(line)
  const ends = line === null || begins.length ? [] : end(line)
  if (line === null) show()
  else if (!begins.length && !ends.length) look(line)
  return { begins, ends, problems: [...shown.values()].flat() }
})
process.stdout.write(JSON.stringify(told))
