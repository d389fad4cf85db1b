import { z } from 'zod';
import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import { NewPassword } from '../../core/users/user.ts';
import { type RenderError, type Endpoint, endpoint } from '../../http/endpoint.ts';
import { html, type Html } from '../../lib/html.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { formOf } from './forms.ts';
import { type Link, type LinkDeps, linksOf } from './links.ts';
import { pageHeaders, pageOf, pageType } from './page.ts';
import { paragraphs, refusedPage } from './refused.ts';

interface Deps extends LinkDeps {
  baseUrl: string;
  passwordMinLength: number;
}

/** What a token of a link looks like; whether it is one, only the POST finds out. */
const Token = z.string().regex(/^kto_[\w-]{86}$/);

const page = {
  tag: 'Pages',
  undocumented: true,
  response: z.string(),
  contentType: pageType,
  headers: pageHeaders,
} as const;

/**
 * Where mailed links lead, for apps without such pages of their own. A GET shows a button or a form and asks nobody
 * anything, and only the POST spends the token: scanners of mail open every link.
 */
export const linkPages = (deps: Deps): readonly Endpoint[] => linksOf(deps).flatMap((link) => pagesOf(link, deps));

const introOf = ({ intro, effects = [] }: Link): Html =>
  html`${paragraphs(intro)}
  ${
    effects.length > 0
      ? html`<ul>
          ${effects.map((effect) => html`<li>${effect}</li>`)}
        </ul>`
      : ''
  }`;

function pagesOf(link: Link, { baseUrl, passwordMinLength: minLength }: Deps): readonly Endpoint[] {
  const { path, button } = link;
  const confirmPath = `${path}/confirm`;
  const site = new URL(baseUrl).host;
  const form = (action: string, token: string, faults: readonly string[] = []) =>
    formOf({ action, token, button, ...(link.asksPassword ? { password: { minLength, faults } } : {}) });

  const renderError: RenderError = (refusal, refused) => {
    const token = Token.safeParse(refused.form?.['token']).data;
    const again = (faults: readonly string[]) => (token === undefined ? html`` : form('confirm', token, faults));
    const body = pageOf(site, refusedPage(link, refusal, refused, again));
    return { body, type: pageType, headers: pageHeaders };
  };

  const show = (at: string, action: string) =>
    endpoint({
      ...page,
      method: 'get',
      path: at,
      operationId: 'getLinkPage',
      summary: link.title,
      query: z.object({ token: Token }), // and whatever a mail program adds
      renderError,
      handle: ({ query: { token } }) =>
        pageOf(site, { title: link.title, content: html`${introOf(link)} ${form(action, token)}` }),
    });

  return [
    show(path, `${path.slice(1)}/confirm`),
    // A browser that opens its tabs again asks for what was the answer to a POST.
    show(confirmPath, 'confirm'),
    endpoint({
      ...page,
      method: 'post',
      path: confirmPath,
      operationId: 'followLink',
      summary: link.button,
      rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
      bodyType: 'form',
      // A password that is left out is an empty one; the policy says what is wrong with that.
      body: z.object({ token: Token, new_password: NewPassword.default('') }),
      errors: [InvalidToken, Overloaded, NotReady],
      renderError,
      async handle({ body: { token, new_password: newPassword }, request }) {
        await link.follow({ token, newPassword }, request);
        return pageOf(site, { title: link.doneTitle, content: paragraphs(link.done) });
      },
    }),
  ];
}
