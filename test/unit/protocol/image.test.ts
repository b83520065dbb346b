import { expect, test } from 'vitest';
import { cordDeclared, cordsOf, imageName, isPinned, retrySafe } from '../../../functions/protocol/index.ts';

const D = `sha256:${'a'.repeat(64)}`;

test.each([
  ['nginx', 'docker.io', 'library/nginx', null, null],
  ['nginx:1.27', 'docker.io', 'library/nginx', '1.27', null],
  ['vllm/vllm-openai:v0.25.1', 'docker.io', 'vllm/vllm-openai', 'v0.25.1', null],
  ['docker.io/nginx', 'docker.io', 'library/nginx', null, null],
  ['ghcr.io/a/b/c:x', 'ghcr.io', 'a/b/c', 'x', null],
  ['localhost/app', 'localhost', 'app', null, null],
  ['localhost:5000/app:1', 'localhost:5000', 'app', '1', null],
  ['registry:5000/app', 'registry:5000', 'app', null, null],
  ['[::1]:5000/app', '[::1]:5000', 'app', null, null],
  ['Example.COM/app', 'example.com', 'app', null, null],
  [`a/b:1@${D}`, 'docker.io', 'a/b', '1', D],
])('%s', (text, host, repository, tag, digest) => expect(imageName(text)).toEqual({ host, repository, tag, digest }));

test.each([
  '',
  ' ',
  'A/b',
  'a//b',
  'a/b:',
  'a/b@sha256:1',
  `a@${D}@${D}`,
  'https://ghcr.io/a/b',
  'a/b c',
  '../a',
  'a/../b',
  'a/b?x=1',
  `${'a/'.repeat(300)}b`,
])('no image: %j', (text) => expect(imageName(text)).toBeNull());

test.each([
  [`docker.io/library/nginx@${D}`, true],
  [`ghcr.io/a/b@${D}`, true],
  [`nginx@${D}`, false],
  [`ghcr.io/a/b:1@${D}`, false],
  ['ghcr.io/a/b:1', false],
  ['', false],
])('pinned: %s', (text, pinned) => expect(isPinned(text)).toBe(pinned));

const cog = { cords: [], adapter: 'cog', health: '/health', template: 'http' } as const;

test.each([
  ['POST', '/predictions', true],
  ['PUT', '/predictions/abc', true],
  ['PUT', '/predictions/abc?x=1', true],
  ['POST', '/predictions/abc/cancel', true],
  ['GET', '/health-check', true],
  ['POST', '/shutdown', false],
  ['POST', '/predictions/a/b/cancel', false],
  ['PUT', '/predictions/', false],
  ['PUT', '/predictions/..', false],
  ['PUT', '/predictions/%2e%2E', false],
  ['PUT', '/predictions/a%2fb', false],
  ['GET', '/predictions/abc', false],
])('a cog model takes %s %s: %s', (method, path, taken) => expect(cordDeclared({ ...cog, cords: [] }, method, path)).toBe(taken));

test('who lists routes has those, and a prediction is never sent twice by itself', () => {
  const own = { ...cog, cords: [{ path: '/a/{x}', method: 'GET', retry: 'safe' }] } as const;
  expect(cordsOf({ ...own, cords: [...own.cords] })).toEqual(own.cords);
  expect(cordDeclared({ ...own, cords: [...own.cords] }, 'POST', '/predictions')).toBe(false);
  expect(retrySafe({ ...own, cords: [...own.cords] }, 'GET', '/a/1')).toBe(true);
  expect(retrySafe({ ...cog, cords: [] }, 'PUT', '/predictions/abc')).toBe(false);
});
