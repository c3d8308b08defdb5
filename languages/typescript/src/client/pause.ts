/** The wait before another attempt to connect. */

/**
 * Waits. In a page the wait ends early where the network is back, or the page is shown again: the timers of a hidden page may be late by
 * a minute.
 *
 * @throws the signal's reason, where it is aborted.
 */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const { document, addEventListener, removeEventListener } = globalThis as Partial<Window & typeof globalThis>;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      removeEventListener?.("online", end);
      document?.removeEventListener("visibilitychange", onShown);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const onShown = (): void => {
      if (document?.visibilityState === "visible") end();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    addEventListener?.("online", end);
    document?.addEventListener("visibilitychange", onShown);
    if (signal.aborted) end();
  });
}
