import { type ErrorMembers, type FieldError, KeyturnError, type SignedOutReason } from './errors.ts';

export type Fetch = typeof globalThis.fetch;

export interface RequestOptions {
  method?: 'GET' | 'POST';
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export type ResponseBody = Record<string, unknown>;

/** Sends one request to the service and returns the JSON object of the response. @throws KeyturnError */
export type SendRequest = (path: string, options: RequestOptions) => Promise<ResponseBody>;

export interface SendRequestDeps {
  baseUrl: string;
  fetch: Fetch;
  credentials: 'include' | 'omit';
  timeoutMs: number;
}

export const makeSendRequest =
  ({ baseUrl, fetch, credentials, timeoutMs }: SendRequestDeps): SendRequest =>
  async (path, { method = 'POST', body, headers, signal }) => {
    const json = body && stringify(body);
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, timeoutMs);
    signal?.addEventListener('abort', abort);
    try {
      if (signal?.aborted) abort();
      const response = await fetch(`${baseUrl}${path}`, {
        method,
        credentials,
        redirect: 'error', // must not send a refresh token to another address
        signal: controller.signal,
        headers: { ...(json ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(json ? { body: json } : {}),
      });
      return parseResponse(response, await response.text());
    } catch (error) {
      if (error instanceof KeyturnError && error.code !== 'aborted') throw error; // aborted: by this timer or `signal`
      if (signal?.aborted) throw new KeyturnError('superseded');
      throw new KeyturnError(controller.signal.aborted ? 'timeout' : 'network', { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  };

function stringify(body: object): string {
  try {
    return JSON.stringify(body);
  } catch (cause) {
    throw new KeyturnError('invalid_request', { detail: 'The arguments contain a value that JSON cannot.', cause });
  }
}

function parseResponse(response: Response, text: string): ResponseBody {
  const { status, ok, headers } = response;
  if (status === 204) return {};
  const body = parseObject(text);
  if (ok && body) return body;
  const isProblem = /^application\/problem\+json\b/.test(headers.get('content-type') ?? '');
  const retryAfterSeconds = parseRetryAfter(headers.get('retry-after'));
  // The sender is a proxy or a captive portal, or the connection was cut. The status is then unrelated to the token.
  if (!isProblem || typeof body?.['code'] !== 'string')
    throw new KeyturnError('invalid_response', { status, retryAfterSeconds });
  throw new KeyturnError(body['code'], { status, retryAfterSeconds, ...parseProblem(body) });
}

function parseObject(text: string): ResponseBody | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ResponseBody) : undefined;
  } catch {
    return undefined;
  }
}

const isFieldError = (value: unknown): value is FieldError => {
  const { path, message } = (value ?? {}) as Partial<Record<keyof FieldError, unknown>>;
  return typeof path === 'string' && typeof message === 'string';
};

/** The reasons of the service. The app has a message for each, and none for a reason of a later release. */
const reasons: readonly SignedOutReason[] = ['expired', 'revoked', 'reused', 'unknown_session'];

const parseProblem = ({ detail, errors, reason, instance }: ResponseBody): ErrorMembers => ({
  detail: typeof detail === 'string' ? detail : undefined,
  errors: Array.isArray(errors) ? errors.filter(isFieldError) : undefined,
  reason: reasons.find((known) => known === reason),
  requestId: typeof instance === 'string' ? instance : undefined,
});

/** Protects against a date far in the future. */
const maxRetryAfterSeconds = 300;

/** RFC 9110 section 10.2.3: seconds, or a date. */
function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), maxRetryAfterSeconds);
}
