// The live stream: what happened on the platform, a few messages a second at most.

/** Listens for news; state(text, good) tells of the connection. */
export function listen({ news, restarted, state }) {
  let epoch = null;
  const source = new EventSource("/api/stream");
  const take = (event) => {
    const value = JSON.parse(event.data);
    if (epoch !== null && value.epoch !== epoch) restarted();
    epoch = value.epoch;
    return value;
  };
  source.addEventListener("hello", (event) => {
    take(event);
    state("live", true);
  });
  source.addEventListener("news", (event) => news(take(event)));
  source.addEventListener("error", () => {
    state("not connected, trying again …", false);
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => {
        listen({ news, restarted, state });
        restarted();
      }, 2000);
    }
  });
  addEventListener("pagehide", () => source.close());
}
