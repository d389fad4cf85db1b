import interop from './jest.interop.config.js';

/** Clients that are generated from openapi.yaml, each in its own language: `npm run test:clients`. @type {import('jest').Config} */
export default {
  ...interop,
  roots: ['<rootDir>/tests/clients'],
  // Of one step: the first run downloads the generators.
  testTimeout: 600_000,
};
