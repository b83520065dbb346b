import { readFileSync } from 'node:fs';
import { factPassages } from './facts.ts';

/** Every passage that the model learns from: the written prose, and the tables of facts put into sentences. */
export function readCorpus(): string[] {
  const prose = ['ripcord', 'world', 'craft'].map((name) => readFileSync(new URL(`corpus/${name}.md`, import.meta.url), 'utf8'));
  return [...prose.flatMap(passagesOf), ...factPassages()];
}

/** Passages stand between empty lines; a line break inside one is a space. */
function passagesOf(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((passage) => passage.replaceAll(/\s+/g, ' ').trim())
    .filter((passage) => passage !== '' && !passage.startsWith('#'));
}
