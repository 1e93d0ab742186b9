// Requests to the platform. A refusal is an ApiError; `field` names what is wrong in the request.

export class ApiError extends Error {
  constructor(message, field, lines) {
    super(message);
    this.field = field;
    this.lines = lines ?? [];
  }
}

const path = (parts) => `/api/${parts.map(encodeURIComponent).join("/")}`;

/** Reads: get(["devices"], {product: "a1…"}); empty values are left out. */
export function get(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const text = new URLSearchParams(given).toString();
  return ask(path(parts) + (text && `?${text}`), {});
}

/** Changes: post(["products", key], {dynamicRegistration: true}). */
export function post(parts, body = {}) {
  return ask(path(parts), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function ask(url, options) {
  let answer;
  try {
    answer = await fetch(url, { ...options, signal: AbortSignal.timeout(30000) });
  } catch {
    throw new ApiError("The platform does not answer: is it still running?");
  }
  const value = await answer.json().catch(() => null);
  if (answer.ok && value !== null) return value;
  if (answer.status === 401) location.assign("/login");
  const error = value?.error ?? { message: `HTTP ${answer.status}` };
  throw new ApiError(error.message, error.field, error.lines);
}
