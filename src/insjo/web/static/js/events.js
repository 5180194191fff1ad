// Server-sent events read from a fetch, because EventSource can neither post nor be told why it was refused.
import { request } from "./core.js";

const EVENT_CHARS_MAX = 4000000;

/** @param {string} block lines of one event */
function parseEvent(block) {
  let name = "message";
  const lines = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) lines.push(line.slice(line[5] === " " ? 6 : 5));
  }
  if (!lines.length) return null;
  try {
    const data = JSON.parse(lines.join("\n"));
    return { name: name === "message" && typeof data?.type === "string" ? data.type : name, data };
  } catch {
    return null;
  }
}

/**
 * Posts `body` and yields the typed events of the answer. Throws RequestFailed when the server refuses.
 * @param {string} url
 * @param {BodyInit} body
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{name: string, data: any}>}
 */
export async function* postForEvents(url, body, signal) {
  const response = await request(url, { method: "POST", body, signal, headers: { Accept: "text/event-stream" } });
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest = (rest + (value ?? "")).replaceAll("\r\n", "\n");
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const event = parseEvent(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (event) yield event;
      }
      if (done || rest.length > EVENT_CHARS_MAX) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
