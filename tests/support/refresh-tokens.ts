// A refresh token taken apart as its documented form says, and what is asked of answers about one.
import { expect } from '@jest/globals';
import type { Response } from 'supertest';

export const bytesOf = (token: string): Buffer => Buffer.from(token.slice('ktr_'.length), 'base64url');
export const tokenOf = (bytes: Buffer): string => `ktr_${bytes.toString('base64url')}`;
export const generationOf = (token: string): number => bytesOf(token).readUInt32BE(16);
export const secretOf = (token: string): Buffer => bytesOf(token).subarray(20, 52);

/** The refresh token of an answer that must be 200. */
export function granted(response: Response): string {
  if (response.status !== 200) throw new Error(`expected 200, not ${response.status}: ${response.text}`);
  return (response.body as { refresh_token: string }).refresh_token;
}

/** Why an answer that must be 401 says that a genuine token is not good; undefined for one that is not genuine. */
export function refusal(response: Response): string | undefined {
  if (response.status !== 401) throw new Error(`expected 401, not ${response.status}: ${response.text}`);
  const { code, reason } = response.body as { code: string; reason?: string };
  expect(code).toBe('invalid_refresh_token');
  return reason;
}

interface Refreshes {
  refresh: (token: string) => Promise<Response>;
}

/** Turns `count` times; answers every token from the given one to the newest. */
export async function turnTimes({ refresh }: Refreshes, token: string, count: number): Promise<string[]> {
  const tokens = [token];
  for (let newest = token; tokens.length <= count; tokens.push(newest)) newest = granted(await refresh(newest));
  return tokens;
}
