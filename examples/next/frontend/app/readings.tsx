"use client";

import { useEffect, useState } from "react";

type Reading = { station: string; celsius: number };
type State = { readings: Reading[]; problem: string | null };

const EVERY_MS = 1000;

/** Asks again and again, so that a save, a restart and a new port of the API are only a moment without news. */
function useReadings(api: string | undefined): State {
  const [state, setState] = useState<State>({ readings: [], problem: null });
  useEffect(() => {
    if (!api) return;
    const aborting = new AbortController();

    async function ask() {
      try {
        const headers = { Accept: "application/json" };
        const response = await fetch(`${api}/readings`, { headers, signal: aborting.signal });
        // While the API's code is broken, devrun answers in its place: with the traceback.
        if (!response.ok) throw new Error((await response.text()) || response.statusText);
        setState({ readings: await response.json(), problem: null });
      } catch (error) {
        if (!aborting.signal.aborted) setState(({ readings }) => ({ readings, problem: String(error) }));
      }
    }

    void ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => {
      clearInterval(timer);
      aborting.abort();
    };
  }, [api]);
  return state;
}

export function Readings({ api }: { api: string | undefined }) {
  const { readings, problem } = useReadings(api);
  return (
    <>
      <p id="api" className="quiet">
        {api ?? "There is no NEXT_PUBLIC_API_URL: start `devrun up` first."}
      </p>
      <ul id="readings">
        {readings.map(({ station, celsius }) => (
          <li key={station}>
            {station} <b>{celsius.toFixed(1)} °C</b>
          </li>
        ))}
      </ul>
      {api && problem && <pre id="problem">{problem}</pre>}
    </>
  );
}
