import { existsSync } from "node:fs"
import { defineConfig, devices } from "@playwright/test"

const chromium = "/usr/bin/chromium" // Debian's, where it is; else that of `npx playwright install chromium`

export default defineConfig({
  testDir: "tests",
  use: {
    ...devices["Desktop Chrome"],
    // Set by devrun, or from the named group below.
    baseURL: `http://127.0.0.1:${process.env.WEB_PORT}`,
    launchOptions: existsSync(chromium) ? { executablePath: chromium } : {},
  },
  // Under `devrun run` and `devrun exec` there is a stack already.
  webServer: process.env.DEVRUN
    ? undefined
    : {
        command: "devrun up",
        wait: { stdout: /stack ready api=(?<api_port>\d+) web=(?<web_port>\d+)/ },
        gracefulShutdown: { signal: "SIGTERM", timeout: 5_000 },
      },
})
