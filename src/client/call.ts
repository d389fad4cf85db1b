import { type ErrorMembers, type Fault, KeyturnError, type SignedOutReason } from './errors.ts';

export type Fetch = typeof globalThis.fetch;

export interface Call {
  method?: 'GET' | 'POST';
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Calls the service once, within the time-out; answers the members of its JSON. @throws KeyturnError */
export type CallService = (path: string, call: Call) => Promise<Record<string, unknown>>;

export interface CallOptions {
  baseUrl: string;
  send: Fetch;
  credentials: 'include' | 'omit';
  timeoutMs: number;
}

export const makeCallService =
  ({ baseUrl, send, credentials, timeoutMs }: CallOptions): CallService =>
  async (path, { method = 'POST', body, headers, signal }) => {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, timeoutMs);
    signal?.addEventListener('abort', abort);
    try {
      if (signal?.aborted) abort();
      const response = await send(`${baseUrl}${path}`, {
        method,
        credentials,
        redirect: 'error', // a refresh token goes to one address
        signal: controller.signal,
        headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      return readAnswer(response, await response.text());
    } catch (error) {
      if (error instanceof KeyturnError) throw error;
      if (signal?.aborted) throw new KeyturnError('superseded');
      throw new KeyturnError(controller.signal.aborted ? 'timeout' : 'network', { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  };

function readAnswer(response: Response, text: string): Record<string, unknown> {
  const { status, ok, headers } = response;
  if (status === 204) return {};
  const members = readMembers(text);
  if (ok && members) return members;
  const isProblem = /^application\/problem\+json\b/.test(headers.get('content-type') ?? '');
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'));
  // A proxy, a captive portal or a cut connection speaks, not the service: nothing it says is about a token.
  if (!isProblem || typeof members?.['code'] !== 'string')
    throw new KeyturnError('bad_answer', { status, retryAfterSeconds });
  throw new KeyturnError(members['code'], { status, retryAfterSeconds, ...readProblem(members) });
}

function readMembers(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const readProblem = ({ detail, errors, reason, instance }: Record<string, unknown>): ErrorMembers => ({
  detail: typeof detail === 'string' ? detail : undefined,
  errors: Array.isArray(errors) ? (errors as Fault[]) : undefined,
  reason: typeof reason === 'string' ? (reason as SignedOutReason) : undefined,
  requestId: typeof instance === 'string' ? instance : undefined,
});

/** A wrong date must not keep a user waiting for years. */
const longestRetryAfterSeconds = 300;

/** RFC 9110 section 10.2.3: seconds, or a date. */
function readRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), longestRetryAfterSeconds);
}
