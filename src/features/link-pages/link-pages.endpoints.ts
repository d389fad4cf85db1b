import { z } from 'zod';
import { InvalidToken } from '../../core/one-time-tokens/one-time-token.ts';
import { NewPassword } from '../../core/users/user.ts';
import { type Endpoint, endpoint, type RenderError } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { html, type Html } from '../../lib/html.ts';
import { errorPage } from './error-page.ts';
import { renderForm } from './form.ts';
import { type Link, type LinkDeps, linksOf } from './links.ts';
import { pageHeaders, pageType, paragraphs, renderPage } from './page.ts';

export interface LinkPagesDeps extends LinkDeps {
  baseUrl: string;
  passwordMinLength: number;
}

/** The form of a token. Only the POST checks whether it is valid. */
const Token = z.string().regex(/^kto_[\w-]{86}$/);

const page = {
  tag: 'Pages',
  // Email programs add parameters to links.
  ignoresUnknownQuery: true,
  undocumented: true,
  response: z.string(),
  contentType: pageType,
  headers: pageHeaders,
} as const;

/**
 * The targets of emailed links, for apps without such pages. A GET shows a button or a form without any lookup; only the POST
 * spends the token, because email scanners open every link.
 */
export const linkPageEndpoints = (deps: LinkPagesDeps): Endpoint[] =>
  linksOf(deps).flatMap((link) => pagesOf(link, deps));

const renderIntro = ({ intro, effects = [] }: Link): Html =>
  html`${paragraphs(intro)}
  ${
    effects.length > 0
      ? html`<ul>
          ${effects.map((effect) => html`<li>${effect}</li>`)}
        </ul>`
      : ''
  }`;

function pagesOf(link: Link, { baseUrl, passwordMinLength: minLength }: LinkPagesDeps): Endpoint[] {
  const { path, button } = link;
  const confirmPath = `${path}/confirm`;
  const site = new URL(baseUrl).host;
  const formOf = (action: string, token: string, errors: readonly string[] = []) =>
    renderForm({ action, token, button, ...(link.requiresPassword && { password: { minLength, errors } }) });

  const renderError: RenderError = (error, failed) => {
    const token = Token.safeParse(failed.form?.['token']).data;
    const formWith = (errors: readonly string[]) => (token === undefined ? html`` : formOf('confirm', token, errors));
    return { body: renderPage(site, errorPage(link, error, failed, formWith)), type: pageType, headers: pageHeaders };
  };

  const getPage = (pagePath: string, action: string) =>
    endpoint({
      ...page,
      method: 'get',
      path: pagePath,
      operationId: 'getLinkPage',
      summary: link.title,
      query: z.object({ token: Token }),
      renderError,
      handle: ({ query: { token } }) =>
        renderPage(site, { title: link.title, content: html`${renderIntro(link)} ${formOf(action, token)}` }),
    });

  return [
    getPage(path, `${path.slice(1)}/confirm`),
    // Browsers that restore a tab repeat the POST's URL as a GET.
    getPage(confirmPath, 'confirm'),
    endpoint({
      ...page,
      method: 'post',
      path: confirmPath,
      operationId: 'followLink',
      summary: link.button,
      rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
      bodyType: 'form',
      // A missing password counts as empty, so that the policy's message appears in the form.
      body: z.object({ token: Token, new_password: NewPassword.default('') }),
      errors: [InvalidToken, Overloaded, NotReady],
      renderError,
      async handle({ body: { token, new_password: newPassword }, request }) {
        await link.follow({ token, newPassword }, request);
        return renderPage(site, { title: link.doneTitle, content: paragraphs(link.done) });
      },
    }),
  ];
}
