import { expect, test } from "@playwright/test"

const api = `http://127.0.0.1:${process.env.API_PORT}`

test.beforeEach(({ request }) => request.delete(`${api}/notes`))

test("a note that is written shows up", async ({ page }) => {
  await page.goto("/")
  await page.getByLabel("Note").fill("buy tea")
  await page.getByRole("button", { name: "Add" }).click()
  await expect(page.getByRole("listitem")).toHaveText(["buy tea"])
})

test("notes are there when the page comes", async ({ page, request }) => {
  await request.post(`${api}/notes`, { data: { text: "water the plants" } })
  await page.goto("/")
  await expect(page.getByRole("listitem")).toHaveText(["water the plants"])
})
