// The page that the browser receives. All URLs are relative, so it works on any host and below any path.

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
      <p>OpenAPI document: <a href="openapi.json">openapi.json</a>, <a href="openapi.yaml">openapi.yaml</a></p>
    </footer>
  </body>
</html>
`;

/** Tokens stay in the memory of the page, and the query cannot name another document. */
export const script = `const reference = document.getElementById('reference');

/** The dialog of the button Authorize. */
const dialog = ({ React }) => ({
  statePlugins: {
    auth: {
      wrapSelectors: {
        // Scripts cannot set this cookie. The browser sends it after a login with the cookie transport.
        definitionsToAuthorize: (original) => (...args) => original(...args).filter((one) => !one.has('refreshCookie')),
      },
    },
  },
  wrapComponents: {
    // Each field takes the focus when it appears, so the dialog would be scrolled to the last one.
    authorizationPopup: (Popup) =>
      function AuthorizationPopup(props) {
        React.useEffect(() => {
          const popup = document.querySelector('.dialog-ux');
          popup.querySelector('input')?.focus();
          popup.querySelector('.modal-ux-content').scrollTop = 0;
        }, []);
        return React.createElement(Popup, props);
      },
  },
});

async function show() {
  const response = await fetch('openapi.json');
  if (!response.ok) throw new Error('openapi.json returned ' + response.status);
  const spec = await response.json();
  // The document names the issuer. Calls go to the origin of the page because its policy allows no other.
  const baseUrl = new URL('.', location.href).href.replace(/\\/$/, '');
  spec.servers = [{ url: baseUrl }];
  const { oauth2 } = spec.components.securitySchemes;
  if (oauth2) oauth2.flows.password.tokenUrl = baseUrl + '/token';
  const ui = SwaggerUIBundle({
    spec,
    domNode: reference,
    queryConfigEnabled: false,
    validatorUrl: null,
    persistAuthorization: false,
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    plugins: [dialog],
  });
  ui.initOAuth({ clientId: 'first-party', scopes: ['profile', 'sessions'] });
}

document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches);
show().catch((error) => {
  reference.textContent = 'The API reference could not be loaded: ' + error.message;
});
`;

/** Adjusts Swagger UI to phones and dark mode. */
export const style = `html:not(.dark-mode) {
  background: #fff;
}
body {
  margin: 0;
}
/* No operation has OpenAPI links. */
.swagger-ui .response-col_links {
  display: none;
}
.dark-mode .swagger-ui .header-col {
  color: inherit;
}
/* Tokens are longer than a line. */
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
