import { existsSync } from 'node:fs';
import base from './jest.config.js';

process.env.CHROMIUM ??= '/usr/bin/chromium';
if (!existsSync(process.env.CHROMIUM)) {
  console.error(`There is no ${process.env.CHROMIUM}: run scripts/debian-packages.sh as root, or set CHROMIUM.`);
  process.exit(1);
}

/** What only a browser can prove: `npm run test:browser`. @type {import('jest').Config} */
export default {
  ...base,
  roots: ['<rootDir>/tests/browser'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 120_000,
};
