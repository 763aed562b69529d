import { Readings } from "./readings";

export default function Page() {
  return (
    <>
      <h1>Weather</h1>
      <Readings api={process.env.NEXT_PUBLIC_API_URL} />
    </>
  );
}
