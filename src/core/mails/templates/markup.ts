/** HTML that is safe to send: made by `markup` alone. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? '');

type Value = string | Markup | readonly Markup[];

const safe = (value: Value): string => {
  if (value instanceof Markup) return value.text;
  return typeof value === 'string' ? escape(value) : value.map(safe).join('\n');
};

/** HTML with values in it, each escaped unless it is markup itself. Attributes stand in double quotes. */
export const markup = (parts: TemplateStringsArray, ...values: Value[]): Markup =>
  new Markup(parts.map((part, index) => part + safe(values[index] ?? '')).join(''));
