import { type Html, html } from '../../../lib/html.ts';

/** An email as plain text, from which the layout creates both forms. */
export interface EmailText {
  subject: string;
  paragraphs: string[];
  /** A sentence before the link, and the label of its button. */
  action?: { lead: string; label: string };
  /** Paragraphs after the link: what to do if the user did not request the email. */
  closing: string[];
}

export interface RenderedEmail {
  subject: string;
  text: string;
  html: string;
}

const lineLength = 72;

/** Breaks a paragraph into lines at spaces. */
function wrap(paragraph: string): string {
  const lines: string[] = [];
  for (const word of paragraph.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= lineLength) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

const paragraph = (text: string) => html`<p style="margin:0 0 16px">${text}</p>`;

const buttonStyle =
  'display:inline-block;padding:14px 24px;border-radius:6px;background:#1a56db;color:#ffffff;font-weight:bold;text-decoration:none';

const button = (label: string, url: string) => html`
<p style="margin:24px 0"><a href="${url}" style="${buttonStyle}">${label}</a></p>
<p style="margin:0 0 16px;font-size:14px">Or copy this link into your browser:<br>
<a href="${url}" style="word-break:break-all">${url}</a></p>`;

/** No images, scripts or external resources. Colors are set in pairs only, so that light and dark modes are both legible. */
const page = (subject: string, body: Html[]) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${subject}</title>
</head>
<body style="margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5">
<div style="max-width:560px;margin:0 auto">
${body}
</div>
</body>
</html>
`;

/** Renders both forms of an email. Without a `url` the action is omitted. */
export function renderLayout(
  { subject, paragraphs, action, closing }: EmailText,
  url: string | undefined,
): RenderedEmail {
  const link = action && url !== undefined ? { ...action, url } : undefined;
  const opening = link ? [...paragraphs, link.lead] : paragraphs;
  const text = [...opening.map(wrap), ...(link ? [link.url] : []), ...closing.map(wrap)];
  const body = [...opening.map(paragraph), ...(link ? [button(link.label, link.url)] : []), ...closing.map(paragraph)];
  return { subject, text: `${text.join('\n\n')}\n`, html: page(subject, body).markup };
}
