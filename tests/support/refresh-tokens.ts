// Parses refresh tokens by their documented format, and reads the outcomes of requests with them.
import { expect } from '@jest/globals';
import type { Response } from 'supertest';

export const bytesOf = (token: string): Buffer => Buffer.from(token.slice('ktr_'.length), 'base64url');
export const tokenOf = (bytes: Buffer): string => `ktr_${bytes.toString('base64url')}`;
export const generationOf = (token: string): number => bytesOf(token).readUInt32BE(16);
export const secretOf = (token: string): Buffer => bytesOf(token).subarray(20, 52);

/** The refresh token of a response. @throws unless the status is 200 */
export function granted(response: Response): string {
  if (response.status !== 200) throw new Error(`expected 200, not ${response.status}: ${response.text}`);
  return (response.body as { refresh_token: string }).refresh_token;
}

/** The public reason of a refused refresh; undefined if the token was not genuine. @throws unless the status is 401 */
export function rejectionReason(response: Response): string | undefined {
  if (response.status !== 401) throw new Error(`expected 401, not ${response.status}: ${response.text}`);
  const { code, reason } = response.body as { code: string; reason?: string };
  expect(code).toBe('invalid_refresh_token');
  return reason;
}

interface Refreshes {
  refresh: (token: string) => Promise<Response>;
}

/**
 * Refreshes `count` times, each time with the latest token. Returns every token from the given one to the latest; the ninth
 * refresh within a grace period returns the same token again.
 */
export async function refreshTimes({ refresh }: Refreshes, token: string, count: number): Promise<string[]> {
  const tokens = [token];
  for (let latest = token; tokens.length <= count; tokens.push(latest)) latest = granted(await refresh(latest));
  return tokens;
}
