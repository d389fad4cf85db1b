/** Markup that is safe to insert, because untrusted text in it is escaped. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

type Piece = Html | string | number | readonly Html[];

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escapes text for element content and quoted attributes. */
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? '');

function markupOf(piece: Piece): string {
  if (piece instanceof Html) return piece.markup;
  return typeof piece === 'object' ? piece.map(({ markup }) => markup).join('') : escapeHtml(String(piece));
}

/** Builds markup: html`<p>${text}</p>`. Escapes every value that is not `Html`. */
export const html = (strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html =>
  new Html(
    strings.map((string, index) => string + (index < pieces.length ? markupOf(pieces[index] ?? '') : '')).join(''),
  );
