// The names of the DOM that playwright-core's types use. Its library would let src/ use a browser's globals unnoticed.
interface Node {
  readonly nodeType: number;
}
interface HTMLElement extends Node {
  readonly localName: string;
}
interface SVGElement extends Node {
  readonly localName: string;
}
type HTMLElementTagNameMap = Record<string, HTMLElement>;
