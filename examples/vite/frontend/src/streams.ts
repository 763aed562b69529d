// Streams that come back by themselves: the API restarts at every save, and answers 503 while its code is broken.

export type State = "connecting" | "open" | "broken";

const RETRY_MS = 500;

export function listen(url: string, onMessage: (text: string) => void, onState: (state: State) => void): void {
  const source = new EventSource(url);
  onState("connecting");
  source.onopen = () => onState("open");
  source.onmessage = (event) => onMessage(event.data);
  source.onerror = () => {
    // A lost connection is taken up again by the browser. After an answer other than 200 it gives up for good.
    if (source.readyState === EventSource.CLOSED) {
      onState("broken");
      setTimeout(() => listen(url, onMessage, onState), RETRY_MS);
    } else {
      onState("connecting");
    }
  };
}

export interface Talk {
  send(text: string): void;
}

export function talk(url: string, onMessage: (text: string) => void, onState: (state: State) => void): Talk {
  let socket: WebSocket;
  const unsent: string[] = [];

  function connect(): void {
    onState("connecting");
    socket = new WebSocket(url);
    socket.onopen = () => {
      onState("open");
      for (const text of unsent.splice(0)) socket.send(text);
    };
    socket.onmessage = (event) => onMessage(event.data);
    socket.onclose = () => {
      onState("connecting");
      setTimeout(connect, RETRY_MS);
    };
  }

  connect();
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
      else unsent.push(text);
    },
  };
}
