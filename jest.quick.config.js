import { readdirSync, readFileSync } from 'node:fs';
import base from './jest.config.js';

/** Modules that start processes or servers of their own. */
const slowImport =
  /from '[^']*(node:child_process|embedded-postgres\.ts|\/(service|workers|processes|redis-server|faulty-proxy|tcp-proxy|packed|mail-server|certificate|attack|statement-tap)\.ts)'/;
/** Waits in real time, thousands of requests, or a hundred password hashes. */
const slowFiles =
  /(http\/(bearer|hostile-input)|lockout\/lockout|account\/change-password|operations\/(pool.*|readiness|start-errors|foreign-postgres)|verify\/service|email-change\/email-change|cookies\/cookies|platform\/migrations|rate-limits\/(rate-limits|outcomes)|admin\/(pages|grants|access|token-budget)|users-import\/foreign-hashes|my-sessions\/client-address|login\/rehash|discovery\/access-tokens|audit\/(listing|coverage))\.test\.ts$/;

const isSlow = (file) => slowFiles.test(file) || slowImport.test(readFileSync(new URL(file, import.meta.url), 'utf8'));

/** Tests that run in the process of the test, for each commit: `npm run test:quick`. @type {import('jest').Config} */
export default {
  ...base,
  testMatch: readdirSync(new URL('tests', import.meta.url), { recursive: true })
    .map((path) => `tests/${String(path).replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.test.ts') && !file.endsWith('.system.test.ts') && !isSlow(file))
    .map((file) => `<rootDir>/${file}`),
};
