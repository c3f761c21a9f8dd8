// Written by `git vault agents install opencode`. Takes a snapshot of the workspace before the agent runs a command or changes
// a file. `git vault agents uninstall opencode` removes this file, unless it was changed.
import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"

const program = @PROGRAM@
// Tools that only look.
const looking = ["read", "grep", "glob", "list", "webfetch", "websearch", "todoread", "todowrite", "skill", "question"]

const ask = (message) =>
  new Promise((resolve) => {
    const child = spawn(program, ["agents", "hook", "opencode"], { stdio: ["pipe", "ignore", "pipe"] })
    const said = []
    child.on("error", (error) => resolve({ status: null, text: String(error) }))
    child.on("close", (status) => resolve({ status, text: Buffer.concat(said).toString("utf8") }))
    child.stderr.on("data", (piece) => said.push(piece))
    child.stdin.on("error", () => {})
    child.stdin.end(JSON.stringify(message))
  })

export const GitVault = async ({ client, directory }) => ({
  "tool.execute.before": async (input, output) => {
    if (looking.includes(input.tool)) return
    try {
      accessSync(program, constants.X_OK)
    } catch {
      return
    }
    const answer = await ask({ tool: input.tool, args: output.args, cwd: directory })
    // Only 0 is a yes: no status at all is a hook that was killed, or could not be started.
    if (answer.status !== 0) throw new Error(answer.text || "git-vault: the hook was stopped before it could answer")
    if (answer.text === "") return
    const entry = { service: "git-vault", level: "warn", message: answer.text }
    // Versions differ in where they want it; a warning that cannot be shown must not stop the tool.
    try {
      await client.app.log({ ...entry, body: entry })
    } catch {}
  },
})
