import type { Response } from 'supertest';
import { type CallOptions, freshEmail, password, type Settings, startApp, type TestApp } from '../harness.ts';

export type Call = [method: 'get' | 'post' | 'patch' | 'delete' | 'put', path: string, options?: CallOptions];

let addresses = 0;
/** An address in a network that no other test uses. */
export const freshAddress = (): string =>
  `198.${51 + Math.floor((addresses += 1) / 250)}.${(addresses % 250) + 1}.${(addresses % 50) + 1}`;

/** Calls the app as a client with this address. The app must trust one proxy. */
export const callFrom = (app: TestApp, ip: string, [method, path, options = {}]: Call): Promise<Response> =>
  app.call(method, path, { ...options, headers: { ...options.headers, 'x-forwarded-for': ip } });

/** The statuses of sequential calls. */
export async function statuses(times: number, call: (index: number) => Promise<{ status: number }>): Promise<number[]> {
  const all: number[] = [];
  for (let index = 0; index < times; index += 1) all.push((await call(index)).status);
  return all;
}

export const wrongLogin = (): Call => ['post', '/login', { body: { email: freshEmail(), password: 'not it' } }];

export const registration = (extra: object = {}): Call => [
  'post',
  '/register',
  { body: { email: freshEmail(), password, display_name: 'Ada Lovelace', ...extra } },
];

/** Runs `use` with a new app that has these settings. */
export async function withApp(settings: Settings, use: (app: TestApp) => Promise<void>): Promise<void> {
  const app = await startApp({ TRUST_PROXY: '1', ...settings });
  await use(app).finally(() => app.close());
}
