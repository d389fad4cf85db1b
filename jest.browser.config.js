import { existsSync } from 'node:fs';
import base from './jest.config.js';

process.env.CHROMIUM ??= '/usr/bin/chromium';
if (!existsSync(process.env.CHROMIUM)) {
  console.error(
    `Error: ${process.env.CHROMIUM} does not exist. Run scripts/debian-packages.sh as root, or set CHROMIUM.`,
  );
  process.exit(1);
}

/** Tests in a browser: `npm run test:browser`. @type {import('jest').Config} */
export default {
  ...base,
  roots: ['<rootDir>/tests/browser'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 120_000,
};
