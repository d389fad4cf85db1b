import { type Html, html } from '../../../lib/html.ts';

/** What a letter says. Plain text throughout: the layout makes both of its forms. */
export interface Message {
  /** The same for everybody: nothing that strangers choose stands in it. */
  subject: string;
  paragraphs: string[];
  /** What its link is for: a sentence before it, and the words on its button. */
  action?: { lead: string; label: string };
  /** Below the link: what to do if it was not you. */
  closing: string[];
}

export interface RenderedEmail {
  subject: string;
  text: string;
  html: string;
}

const lineLength = 72;

/** Breaks a paragraph at spaces. */
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
<p style="margin:0 0 16px;font-size:14px">Or copy this address into your browser:<br>
<a href="${url}" style="word-break:break-all">${url}</a></p>`;

/** No image, no script, nothing from elsewhere. Colours come in pairs only, so that light and dark are both legible. */
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

/** Without a `url` the letter has no action. */
export function layOut({ subject, paragraphs, action, closing }: Message, url: string | undefined): RenderedEmail {
  const linked = action && url !== undefined ? { ...action, url } : undefined;
  const lead = linked ? [linked.lead] : [];
  const text = [...[...paragraphs, ...lead].map(wrap), ...(linked ? [linked.url] : []), ...closing.map(wrap)];
  const body = [
    ...[...paragraphs, ...lead].map(paragraph),
    ...(linked ? [button(linked.label, linked.url)] : []),
    ...closing.map(paragraph),
  ];
  return { subject, text: `${text.join('\n\n')}\n`, html: page(subject, body).markup };
}
