import interop from './jest.interop.config.js';

/** `npm run test:clients` tests clients that are generated from openapi.yaml. @type {import('jest').Config} */
export default {
  ...interop,
  roots: ['<rootDir>/tests/clients'],
  // The first run downloads the generators.
  testTimeout: 600_000,
};
