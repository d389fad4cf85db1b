/** The URL of the service. `serve.js` replaces this file with the URL that you pass to it. */
export const service = 'http://localhost:3000';
