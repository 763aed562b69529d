import { listen, talk, type State } from "./streams";

const API_URL = import.meta.env.VITE_API_URL;
const KEPT_LINES = 6;

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

function show(list: HTMLElement, text: string): void {
  const item = document.createElement("li");
  item.textContent = text;
  list.prepend(item);
  while (list.children.length > KEPT_LINES) list.lastChild?.remove();
}

function stateOf(id: string): (state: State) => void {
  const badge = element(id);
  return (state) => {
    badge.textContent = state;
    badge.dataset.state = state;
  };
}

/** While the API's code is broken, devrun answers in its place: with the traceback. */
async function showProblem(url: string): Promise<void> {
  const response = await fetch(url, { headers: { Accept: "text/plain" } }).catch(() => null);
  element("problem").hidden = response?.status !== 503;
  if (response?.status === 503) element("problem").textContent = await response.text();
}

function start(url: string): void {
  element("api").textContent = url;

  const ticksState = stateOf("ticks-state");
  listen(`${url}/ticks`, (text) => show(element("ticks"), text), (state) => {
    ticksState(state);
    if (state === "broken") void showProblem(url);
    if (state === "open") element("problem").hidden = true;
  });

  const echo = talk(`${url.replace(/^http/, "ws")}/echo`, (text) => show(element("echo"), text), stateOf("echo-state"));
  const form = element<HTMLFormElement>("say");
  form.onsubmit = (event) => {
    event.preventDefault();
    const input = form.elements.namedItem("text") as HTMLInputElement;
    if (input.value) echo.send(input.value);
    input.select();
  };
}

// Vite restarts when devrun writes or removes .env.local, and loads the page anew.
if (API_URL) start(API_URL);
else element("api").textContent = "There is no VITE_API_URL: start `devrun up` first.";
