// The live stream: what happened on the platform, a few messages a second at most.

/** Listens for news; state(text, good) tells of the connection. */
export function listen({ news, restarted, state }) {
  let epoch = null;
  let source = null;

  function take(event) {
    const value = JSON.parse(event.data);
    if (epoch !== null && value.epoch !== epoch) restarted();
    epoch = value.epoch;
    return value;
  }

  function open() {
    source?.close();
    const opened = new EventSource("/api/stream");
    source = opened;
    opened.addEventListener("hello", (event) => {
      take(event);
      state("live", true);
    });
    opened.addEventListener("news", (event) => news(take(event)));
    opened.addEventListener("error", () => {
      state("not connected, trying again …", false);
      if (opened.readyState === EventSource.CLOSED) setTimeout(() => reopen(opened), 2000);
    });
  }

  function reopen(closed) {
    if (source !== closed) return;
    open();
    restarted();
  }

  // A browser has six connections for all pages of one address: a hidden page gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") {
      source?.close();
      source = null;
    } else if (source === null) {
      open();
      restarted();
    }
  });
  addEventListener("pagehide", () => source?.close());
  open();
}
