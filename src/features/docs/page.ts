// The page as a browser gets it. All that it names is relative, so it works on any host and below any path.

export const html = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Keyturn API reference</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
    <link rel="stylesheet" href="docs/swagger-ui.css">
    <link rel="stylesheet" href="docs/page.css">
    <script defer src="docs/swagger-ui-bundle.js"></script>
    <script defer src="docs/page.js"></script>
  </head>
  <body class="swagger-ui">
    <main id="reference"></main>
    <footer class="wrapper">
      <p>For programs, and without JavaScript: <a href="openapi.json">openapi.json</a>, <a href="openapi.yaml">openapi.yaml</a></p>
    </footer>
  </body>
</html>
`;

/** Tokens stay in the page's memory, and no query names another document than ours. */
export const script = `const reference = document.getElementById('reference');

async function show() {
  const response = await fetch('openapi.json');
  if (!response.ok) throw new Error('openapi.json answered ' + response.status);
  const spec = await response.json();
  // The document names the issuer. Calls go where the page came from, as its policy allows no other place.
  const here = new URL('.', location.href).href.replace(/\\/$/, '');
  spec.servers = [{ url: here }];
  const { oauth2 } = spec.components.securitySchemes;
  if (oauth2) oauth2.flows.password.tokenUrl = here + '/token';
  const ui = SwaggerUIBundle({
    spec,
    domNode: reference,
    queryConfigEnabled: false,
    validatorUrl: null,
    persistAuthorization: false,
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
  });
  ui.initOAuth({ clientId: 'first-party' });
}

document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches);
show().catch((error) => {
  reference.textContent = 'The API reference cannot be shown: ' + error.message;
});
`;

/** What Swagger UI leaves to be wished for: on a phone, and in the dark. */
export const style = `html:not(.dark-mode) {
  background: #fff;
}
body {
  margin: 0;
}
/* No operation has links of OpenAPI's kind. */
.swagger-ui .response-col_links {
  display: none;
}
.dark-mode .swagger-ui .header-col {
  color: inherit;
}
/* A token is longer than any line. */
.swagger-ui .curl-command code,
.swagger-ui .curl-command span {
  overflow-wrap: anywhere;
  white-space: pre-wrap !important;
}
@media (max-width: 640px) {
  .swagger-ui .opblock-section-header .btn {
    margin-left: 8px;
    min-width: 0;
    padding: 5px 10px;
  }
  .swagger-ui .responses-table {
    table-layout: fixed;
  }
  .swagger-ui .response-col_status {
    width: 56px;
  }
  .swagger-ui .response-controls {
    flex-wrap: wrap;
    gap: 8px;
  }
}
`;
